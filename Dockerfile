# One image for every role: the operator, NameServers and brokers.
#   docker build -t localhost/rocketmq-operator:0.1.0 .
# Node 26 or later: it runs the TypeScript sources as they are.
ARG NODE_IMAGE=node:26-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# the image brings its own Node: the optional packages that carry one are left out
RUN npm ci --omit=dev --omit=optional --no-update-notifier

FROM ${NODE_IMAGE}
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/.compile-cache
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
RUN mkdir .compile-cache && chown 10001:10001 .compile-cache
USER 10001:10001
# the sources without their types, kept for every start: pods cannot write here
RUN for role in operator namesrv broker; do node src/main.js $role --help > /dev/null || exit 1; done
ENTRYPOINT ["node", "/app/src/main.js"]
