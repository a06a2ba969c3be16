# Both base images are arguments, so that a mirror or a local stand-in can take their place.
ARG BUILD_IMAGE=golang:1.26
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM --platform=${BUILDPLATFORM} ${BUILD_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY config config
COPY internal internal
ARG TARGETOS=linux
ARG TARGETARCH
ARG VERSION=dev
ARG REVISION=unknown
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath \
      -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${REVISION}" -o /out/pdhook ./cmd/pdhook \
    && mkdir /out/state

# The platform is the default, but buildah 1.28 would keep that of the stage before.
FROM --platform=${TARGETPLATFORM} ${BASE_IMAGE}
COPY --from=build /out/pdhook /usr/local/bin/pdhook
COPY --from=build --chown=65532:65532 /out/state /var/lib/pdhook
COPY LICENSE /usr/share/doc/pdhook/LICENSE
# By number, so that Kubernetes can see that it is not root. The root file system may be read-only.
USER 65532:65532
VOLUME /var/lib/pdhook
EXPOSE 8081 8082
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/pdhook", "health"]
ENTRYPOINT ["/usr/local/bin/pdhook"]
CMD ["start"]

ARG VERSION=dev
ARG REVISION=unknown
ARG CREATED
LABEL org.opencontainers.image.title="pdhook" \
      org.opencontainers.image.description="Teleport Access Requests become PagerDuty incidents; who is on call is approved" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/pdhook/pdhook" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
