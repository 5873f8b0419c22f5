// npm's oidc-provider over TLS. The only argument is JSON: issuer, port, certificate and key (paths), redirectUri,
// conformIdTokenClaims, hasNewKeys. It signs in anyone by the name that they type, as its development pages do.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { Provider } from "oidc-provider";

const asked = JSON.parse(process.argv[2]);

const configuration = {
  clients: [{ client_id: "leadmachine", client_secret: "the-client-secret", redirect_uris: [asked.redirectUri] }],
  claims: { email: ["email", "email_verified"], profile: ["given_name", "family_name"] },
  conformIdTokenClaims: asked.conformIdTokenClaims,
  async findAccount(ctx, id) {
    return {
      accountId: id,
      async claims() {
        return {
          sub: id,
          email: `${id}@example.com`,
          email_verified: id !== "unconfirmed",
          given_name: "Grace",
          family_name: "Hopper",
        };
      },
    };
  },
};

if (asked.hasNewKeys) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  configuration.jwks = { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "new", use: "sig", alg: "RS256" }] };
}

const provider = new Provider(asked.issuer, configuration);
// It says the right thing about everyone, but a broken one could say this.
provider.use(async (ctx, next) => {
  await next();
  if (ctx.oidc?.route === "userinfo" && ctx.body?.sub === "liar") ctx.body.sub = "someone-else";
});
const tls = { cert: readFileSync(asked.certificate), key: readFileSync(asked.key) };
createServer(tls, provider.callback()).listen(asked.port, "127.0.0.1");
