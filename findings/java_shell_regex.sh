#!/usr/bin/env bash
# org.bson 5.5.1 (Java): JsonMode.SHELL escapes every slash of a regular expression, also one that is escaped:
# the pattern a\/b is written /a\\/b/, which BsonDocument.parse of the same library refuses, as it does
# the option l that it writes. The pattern a/b comes back as a\/b, and [/] as [\/].
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:2.8:copy -Dartifact=org.mongodb:bson:5.5.1 -DoutputDirectory=lib
cat >Check.java <<'JAVA'
import java.util.ArrayList;
import java.util.List;
import org.bson.BsonDocument;
import org.bson.BsonRegularExpression;
import org.bson.json.JsonMode;
import org.bson.json.JsonParseException;
import org.bson.json.JsonWriterSettings;

public class Check {
    public static void main(String[] arguments) {
        var shell = JsonWriterSettings.builder().outputMode(JsonMode.SHELL).build();
        var found = new ArrayList<String>();
        for (var given : List.of(
                new BsonRegularExpression("a+b", "im"),
                new BsonRegularExpression("a/b"),
                new BsonRegularExpression("[/]"),
                new BsonRegularExpression("a\\/b"),
                new BsonRegularExpression("a", "l"))) {
            var text = new BsonDocument("v", given).toJson(shell);
            String back;
            try {
                back = BsonDocument.parse(text).getRegularExpression("v").getPattern();
            } catch (JsonParseException error) {
                back = "refused";
            }
            found.add(text + " " + back);
        }
        found.forEach(System.out::println);
        var expected = List.of(
            "{\"v\": /a+b/im} a+b",
            "{\"v\": /a\\/b/} a\\/b",
            "{\"v\": /[\\/]/} [\\/]",
            "{\"v\": /a\\\\/b/} refused",
            "{\"v\": /a/l} refused");
        if (!found.equals(expected)) {
            throw new AssertionError(found);
        }
        System.out.println("as described");
    }
}
JAVA
java -cp 'lib/*' Check.java
