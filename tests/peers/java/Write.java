// Documents of a BSON stream as org.bson writes them, one a line; `!` where it fails.
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.bson.RawBsonDocument;
import org.bson.json.JsonMode;
import org.bson.json.JsonWriterSettings;

public class Write {
    public static void main(String[] arguments) throws Exception {
        var mode = JsonMode.valueOf(arguments[0].toUpperCase());
        var settings = JsonWriterSettings.builder().outputMode(mode).build();
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        byte[] stream = System.in.readAllBytes();
        for (int start = 0, size; start < stream.length; start += size) {
            size = ByteBuffer.wrap(stream).order(ByteOrder.LITTLE_ENDIAN).getInt(start);
            try {
                var raw = Arrays.copyOfRange(stream, start, start + size);
                out.print(new RawBsonDocument(raw).toJson(settings) + "\n");
            } catch (RuntimeException error) {
                out.print("!\n");
            }
        }
        out.flush();
    }
}
