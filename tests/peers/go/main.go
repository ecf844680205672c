// Documents of a BSON stream as the driver's package bson writes them, one a line; `!` where it
// fails. mongoexport decodes to bson.D and writes in the same way.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func main() {
	stream, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	for len(stream) > 0 {
		size := binary.LittleEndian.Uint32(stream)
		var document bson.D
		err := bson.Unmarshal(stream[:size], &document)
		var line []byte
		if err == nil {
			line, err = bson.MarshalExtJSON(document, os.Args[1] == "canonical", false)
		}
		if err != nil {
			line = []byte("!")
		}
		fmt.Printf("%s\n", line)
		stream = stream[size:]
	}
}
