import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.KeyValue;
import de.bwaldvogel.mongo.backend.ValueComparator;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.backend.memory.MemoryDatabase;
import de.bwaldvogel.mongo.backend.memory.index.MemoryUniqueIndex;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.bson.ObjectId;
import de.bwaldvogel.mongo.exception.MongoServerError;
import io.netty.channel.Channel;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * mongo-java-server as a MongoDB 5.0. It prints its port, and ends with its standard input.
 *
 * <p>The command {@code {answer: NAME, in: COLLECTION, with: REPLY, skip: N, times: N}} has the
 * command NAME answered otherwise from then on: by a reply, an error ({@code {code, codeName,
 * errmsg}}), a cut connection ({@code {cut: true}}) or late ({@code {wait: MILLISECONDS}}).
 * {@code {answer: 1}} ends that.
 */
public class Launcher {
  record Answer(String command, String collection, Document reply, int[] left) {}

  static class Version implements MongoVersion {
    public List<Integer> getVersionArray() {
      return List.of(5, 0, 0, 0);
    }

    public int getWireVersion() {
      return 13;
    }
  }

  /** The index on _id, which finds a range as a real server does: the original reads everything. */
  static class OrderedIndex extends MemoryUniqueIndex {
    private static final Set<Class<?>> ORDERED = Set.of(ObjectId.class, Integer.class, String.class);
    private final TreeMap<Object, Integer> positions = new TreeMap<>(ValueComparator.asc());

    OrderedIndex(String name, List<IndexKey> keys) {
      super(name, keys, false);
    }

    @Override
    protected boolean putKeyPosition(KeyValue key, Integer position) {
      positions.put(key.get(0), position);
      return super.putKeyPosition(key, position);
    }

    @Override
    protected Integer removeDocument(KeyValue key) {
      positions.remove(key.get(0));
      return super.removeDocument(key);
    }

    @Override
    public synchronized boolean canHandle(Document query) {
      return isRange(query) || super.canHandle(query);
    }

    @Override
    public synchronized Iterable<Integer> getPositions(Document query) {
      if (!isRange(query)) {
        return super.getPositions(query);
      }
      Document range = (Document) query.get("_id");
      SortedMap<Object, Integer> found = positions;
      if (range.containsKey("$gte")) {
        found = found.tailMap(range.get("$gte"));
      }
      if (range.containsKey("$lt")) {
        found = found.headMap(range.get("$lt"));
      }
      return List.copyOf(found.values());
    }

    private static boolean isRange(Document query) {
      return query.keySet().equals(Set.of("_id"))
          && query.get("_id") instanceof Document range
          && !range.isEmpty()
          && Set.of("$gte", "$lt").containsAll(range.keySet())
          && range.values().stream().allMatch(bound -> ORDERED.contains(bound.getClass()));
    }
  }

  static class Database extends MemoryDatabase {
    Database(String name, CursorRegistry cursors) {
      super(name, cursors);
    }

    @Override
    protected Index<Integer> openOrCreateUniqueIndex(
        String collection, String name, List<IndexKey> keys, boolean sparse) {
      return keys.size() == 1 && keys.get(0).getKey().equals("_id")
          ? new OrderedIndex(name, keys)
          : super.openOrCreateUniqueIndex(collection, name, keys, sparse);
    }
  }

  static class Backend extends MemoryBackend {
    private final List<Answer> answers = new CopyOnWriteArrayList<>();

    @Override
    public MemoryDatabase openOrCreateDatabase(String name) {
      return new Database(name, getCursorRegistry());
    }

    @Override
    public Document handleCommand(Channel channel, String database, String command, Document query) {
      if (command.equals("answer")) {
        return plan(query);
      }
      for (Answer answer : answers) {
        if (answer.command.equals(command) && concerns(answer, query) && isDue(answer)) {
          if (answer.reply.containsKey("wait")) {
            pause(number(answer.reply, "wait", 0));
          } else if (answer.reply.containsKey("cut")) {
            channel.close();
          } else if (answer.reply.containsKey("code")) {
            throw new MongoServerError(
                number(answer.reply, "code", 0),
                (String) answer.reply.get("codeName"),
                (String) answer.reply.get("errmsg"));
          } else {
            return answer.reply.clone().append("ok", 1.0);
          }
        }
      }
      if (command.equals("hello") || command.equalsIgnoreCase("ismaster")) {
        return new Document("isWritablePrimary", true)
            .append("maxBsonObjectSize", 16 << 20)
            .append("maxMessageSizeBytes", 48_000_000)
            .append("maxWriteBatchSize", 100_000)
            .append("localTime", Instant.now())
            .append("minWireVersion", 0)
            .append("maxWireVersion", 13)
            .append("ok", 1.0);
      }
      return super.handleCommand(channel, database, command, query);
    }

    private Document plan(Document query) {
      if (query.get("answer") instanceof String command) {
        int[] left = {number(query, "skip", 0), number(query, "times", Integer.MAX_VALUE)};
        answers.add(new Answer(command, (String) query.get("in"), (Document) query.get("with"), left));
      } else {
        answers.clear();
      }
      return new Document("ok", 1.0);
    }

    private static boolean concerns(Answer answer, Document query) {
      Object first = query.values().iterator().next();
      Object collection = query.getOrDefault("collection", first);
      return answer.collection == null || answer.collection.equals(collection);
    }

    private static synchronized boolean isDue(Answer answer) {
      return answer.left[0]-- <= 0 && answer.left[1]-- > 0;
    }

    private static int number(Document document, String key, int otherwise) {
      return document.get(key) instanceof Number value ? value.intValue() : otherwise;
    }

    private static void pause(int milliseconds) {
      try {
        Thread.sleep(milliseconds);
      } catch (InterruptedException error) {
        Thread.currentThread().interrupt();
      }
    }
  }

  public static void main(String[] arguments) throws Exception {
    Backend backend = new Backend();
    backend.version(new Version());
    MongoServer server = new MongoServer(backend);
    server.enableOplog();
    server.bind("127.0.0.1", 0);
    System.out.println(server.getLocalAddress().getPort());
    while (System.in.read() >= 0) {}
    server.shutdownNow();
  }
}
