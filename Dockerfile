# Both base images are arguments, so that a mirror or a local stand-in can take their place.
ARG BUILD_IMAGE=golang:1.26
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /pdhook ./cmd/pdhook && mkdir /state

FROM ${BASE_IMAGE}
COPY --from=build /pdhook /usr/local/bin/pdhook
COPY --from=build --chown=65532:65532 /state /var/lib/pdhook
USER 65532:65532
VOLUME /var/lib/pdhook
EXPOSE 8081 8082
HEALTHCHECK --interval=30s --timeout=5s CMD ["/usr/local/bin/pdhook", "health"]
ENTRYPOINT ["/usr/local/bin/pdhook"]
CMD ["start"]
