# Build: the whole checkout, to JavaScript.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
COPY tools ./tools
RUN npm ci --ignore-scripts
COPY src ./src
COPY processors ./processors
RUN node tools/build.ts

# The demo worker of docker-compose.yml: the OpenTelemetry packages are development dependencies.
FROM build AS worker
COPY examples ./examples
USER node
CMD ["node", "examples/node/worker-grpc.ts"]

# Run: the built package and its run-time dependencies. No secret is needed to build, so none can end in a layer.
FROM node:24-slim AS gateway
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json ./
COPY tools/node/package.json ./tools/node/package.json
RUN npm ci --ignore-scripts --omit=dev --omit=optional && npm cache clean --force \
    && mkdir -p /data && chown node:node /data
COPY --from=build /app/dist ./dist
COPY bin ./bin
COPY collector ./collector
USER node
EXPOSE 4317 4318 13133
# Every configuration in collector/ that is made for containers has health_check on this port.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s \
    CMD ["node", "-e", "fetch('http://127.0.0.1:13133').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# node itself is process 1, not npm: npm does not hand SIGTERM on in time to drain.
CMD ["node", "bin/signalbox.mjs", "run", "--config", "collector/gateway.yaml"]
