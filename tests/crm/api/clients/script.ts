// What a script does with the types of openapi-typescript: checked by tsc --strict, then run by node.
// Arguments: URL and API key.
import type { components, paths } from "./schema";

type Lead = components["schemas"]["Lead"];
type Page = paths["/api/v1/leads/"]["get"]["responses"][200]["content"]["application/json"];
type NewLead = components["schemas"]["LeadRequest"];

declare const process: { argv: string[]; exitCode?: number };

const [url, key] = process.argv.slice(2) as [string, string];
const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };

async function main(): Promise<void> {
  const body: NewLead = { first_name: "Grace", email: "Grace@example.com" };
  const created: Lead = await (
    await fetch(`${url}/api/v1/leads/`, { method: "POST", headers, body: JSON.stringify(body) })
  ).json();
  // A string: without "required" in the schema, this would not compile.
  if (created.email.toLowerCase() !== "grace@example.com") throw new Error("another address");

  const seen = new Set<number>();
  let next: string | null = `${url}/api/v1/leads/?page_size=50`;
  while (next !== null) {
    const page: Page = await (await fetch(next, { headers })).json();
    page.results.forEach((lead) => seen.add(lead.id));
    next = page.next;
  }
  console.log(seen.size);
}

void main();
