// An archive as mongodump writes one: structures encoded by the driver, checksums by hash/crc64.
// The format: common/archive/spec.md of mongo-tools 100. Collections take turns.
package main

import (
	"bytes"
	"fmt"
	"hash/crc64"
	"os"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

type header struct {
	ConcurrentCollections int32  `bson:"concurrent_collections"`
	Version               string `bson:"version"`
	ServerVersion         string `bson:"server_version"`
	ToolVersion           string `bson:"tool_version"`
}

type metadata struct {
	Database   string `bson:"db"`
	Collection string `bson:"collection"`
	Metadata   string `bson:"metadata"`
	Size       int    `bson:"size"`
	Type       string `bson:"type"`
}

type segment struct {
	Database   string `bson:"db"`
	Collection string `bson:"collection"`
	EOF        bool   `bson:"EOF"`
	CRC        int64  `bson:"CRC"`
}

const (
	turns      = 3
	terminator = "\xff\xff\xff\xff"
)

var out bytes.Buffer

func write(value any) []byte {
	raw, err := bson.Marshal(value)
	if err != nil {
		panic(err)
	}
	out.Write(raw)
	return raw
}

func describe(collection, kind, options string) {
	text := fmt.Sprintf(`{"options":%s,"indexes":[{"v":{"$numberInt":"2"},"key":{"_id":`+
		`{"$numberInt":"1"}},"name":"_id_"}],"collectionName":"%s","type":"%s"}`,
		options, collection, kind)
	write(metadata{"shop", collection, text, 0, kind})
}

func main() {
	out.WriteString("\x6d\xe2\x99\x81")
	write(header{4, "0.1", "8.0.4", "100.12.2"})
	collections := []string{"users", "orders", "system.buckets.weather"}
	describe("users", "collection", "{}")
	describe("orders", "collection", `{"capped":true,"size":{"$numberInt":"4096"}}`)
	describe("weather", "timeseries", `{"timeseries":{"timeField":"at"}}`)
	describe("recent", "view", `{"viewOn":"orders","pipeline":[]}`)
	describe("empty", "collection", "{}")
	out.WriteString(terminator)
	table := crc64.MakeTable(crc64.ECMA)
	sums := map[string]uint64{}
	for turn := 0; turn < turns; turn++ {
		for _, name := range collections {
			write(segment{"shop", name, false, 0})
			for i := 0; i < 3; i++ {
				number := turn*3 + i
				raw := write(bson.D{
					{Key: "_id", Value: int32(number)},
					{Key: "of", Value: name},
					{Key: "text", Value: strings.Repeat("é", number)},
					{Key: "ratio", Value: float64(number) / 3},
				})
				sums[name] = crc64.Update(sums[name], table, raw)
			}
			out.WriteString(terminator)
		}
	}
	for _, name := range append(collections, "empty", "recent") {
		write(segment{"shop", name, true, int64(sums[name])})
		out.WriteString(terminator)
	}
	os.Stdout.Write(out.Bytes())
}
