# One image for every role: the operator, NameServers and brokers.
#   docker build -t localhost/rocketmq-operator:0.1.0 .
# Node 26 or later: it runs the TypeScript sources as they are.
ARG NODE_IMAGE=node:26-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# the image brings its own Node: the optional packages that carry one are left out
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
USER 10001:10001
ENTRYPOINT ["node", "/app/src/main.ts"]
