# A service of yours that imports the library: copy this file beside your go.mod,
# as Dockerfile.
#
#   go mod vendor                          # as long as go.mod has a replace
#   docker build -t shop --build-arg PROGRAM=./cmd/shop .
#
# A replace names a folder of your machine, which the build cannot see. go mod
# vendor copies what is in it beside your code, and go build takes it from there.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY . .
ARG PROGRAM=.
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags="-s -w" -o /program $PROGRAM

# gcr.io/distroless/static-debian12:nonroot in place of scratch brings /tmp,
# /etc/passwd, time zones and the certificates; the lines below stay right.
FROM scratch
# The library needs none. Your service does, as soon as it is a client of HTTPS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /program /program
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/program"]
