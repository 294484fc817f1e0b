# One static binary and the certificates to trust, nothing else: no shell, no libc.
# Time zones are in the binary.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /hookline ./cmd/hookline
# A new volume takes owner and mode of the folder that it is mounted on.
RUN mkdir -m 0700 /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /hookline /hookline
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
# Within the container; whoever publishes the port decides who reaches it.
ENV HOOKLINE_ADDR=0.0.0.0:8080 HOOKLINE_METRICS_ADDR=0.0.0.0:9090 HOOKLINE_DATA=/data
VOLUME /data
EXPOSE 8080 9090
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 CMD ["/hookline", "health"]
# SIGTERM, which is what docker stop sends, is the graceful stop.
ENTRYPOINT ["/hookline"]
CMD ["serve"]
