#!/bin/sh
# From a bundle to both OpenRecon packages, in the repository's root:
#
#     sh deploy/openrecon/build.sh BUNDLE.fmtool FOLDER
#
# Needs fmtool and docker on the path. XA60 and XA61 take only what Docker 24 or older saved.
set -eu
[ $# -eq 2 ] || { echo "usage: sh deploy/openrecon/build.sh BUNDLE.fmtool FOLDER" >&2; exit 2; }
bundle=$1 folder=$2
[ -d "$bundle" ] || { echo "$bundle is not a bundle's folder; name one" >&2; exit 1; }
engine=$(docker version --format '{{.Server.Version}}' 2>/dev/null) || {
    echo "no docker engine answers; start one, or build where there is one" >&2
    exit 3
}
[ "${engine%%.*}" -le 24 ] || echo "Docker $engine: XA60 and XA61 refuse what it saves; 24 is the newest they take" >&2

fmtool serve openrecon "$folder" --bundle "$bundle"
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp -R pyproject.toml README.md LICENSE fmtool runtime training export benchmarks locks "$context"
cp -RL "$bundle" "$context/bundle.fmtool"
docker build --platform linux/amd64 --label "$(cat "$folder/label.txt")" \
    -f deploy/openrecon/Containerfile -t local/fmtool:latest "$context"
docker save local/fmtool:latest -o "$folder/image.tar"
fmtool serve openrecon "$folder" --bundle "$bundle" --image "$folder/image.tar"
rm "$folder/image.tar"
