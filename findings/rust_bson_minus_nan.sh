#!/usr/bin/env bash
# The crate bson 3.1.0 writes a NaN with its sign bit as {"$numberDouble": "-NaN"}, which Extended JSON does
# not have; 0.0 / 0.0 has that bit on x86-64. Go's driver 2.10.0 (mongoimport is built on that driver) refuses the text.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/rust/src" "$folder/go"
cd "$folder/rust"
cat >Cargo.toml <<'TOML'
[package]
name = "check"
version = "1.0.0"
edition = "2021"

[dependencies]
bson = { version = "=3.1.0", features = ["serde", "serde_json-1"] }
TOML
cat >src/main.rs <<'RUST'
fn main() {
    let nan = f64::from_bits(0xFFF8_0000_0000_0000);
    println!("{}", bson::Bson::Document(bson::doc! { "v": nan }).into_relaxed_extjson());
}
RUST
text="$(cargo run --quiet)"
cd "$folder/go"
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func main() {
	var document bson.D
	fmt.Println(bson.UnmarshalExtJSON([]byte(os.Args[1]), false, &document))
}
GO
go mod init check 2>/dev/null
go get go.mongodb.org/mongo-driver/v2@v2.10.0 2>/dev/null
error="$(go run . "$text")"
echo "Rust writes $text"
echo "Go: $error"
test "$text" = '{"v":{"$numberDouble":"-NaN"}}'
test "$error" = 'strconv.ParseFloat: parsing "-NaN": invalid syntax'
echo "as described"
