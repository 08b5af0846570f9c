# The wheel is built in one stage and installed in the other, so that the image holds no compiler, cache or source.
# Debian's and Python's security fixes come with the tag. To build the same image again: --build-arg BASE=python:3.12-slim-bookworm@sha256:…
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE} AS build
WORKDIR /src
# What we depend on, in the versions that were tested, is a layer of its own: a changed gateway does not fetch it again.
COPY deploy/requirements.lock ./
RUN python -m venv /opt/auth-gateway \
 && /opt/auth-gateway/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY templates templates
RUN /opt/auth-gateway/bin/pip install --no-cache-dir --no-deps .

FROM ${BASE}
LABEL org.opencontainers.image.title="auth-gateway" \
      org.opencontainers.image.description="A reverse proxy that puts a password and a second factor in front of any web app" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 gateway \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin gateway \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/auth-gateway /var/lib/auth-gateway/var
COPY --from=build /opt/auth-gateway /opt/auth-gateway
ENV PATH="/opt/auth-gateway/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# Relative paths in the configuration (var/session.keys, var/gateway.db) land in the volume. Nothing else is
# written but the workers' metrics in /tmp: run it with --read-only --tmpfs /tmp.
WORKDIR /var/lib/auth-gateway
VOLUME /var/lib/auth-gateway
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# Asks where the configuration says that the gateway listens, over TLS where it has that. CONFIG: another file.
ENV CONFIG="/etc/auth-gateway/config.yaml"
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
  CMD ["auth-gateway", "health"]
ENTRYPOINT ["auth-gateway"]
CMD ["serve", "--config", "/etc/auth-gateway/config.yaml"]
