// A receiver of Hookline's pushes for Java 17 or later, with nothing but the JDK.
//
//   PORT=9000 COMPANY_ID=demo APP_KEY=… ENCRYPTION_KEY=… java Receiver.java

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.regex.Pattern;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;

public class Receiver {
  static final String COMPANY_ID = System.getenv("COMPANY_ID");
  static final byte[] APP_KEY = System.getenv("APP_KEY").getBytes(StandardCharsets.UTF_8);
  static final byte[] SEAL_KEY = Base64.getDecoder().decode(System.getenv().getOrDefault("ENCRYPTION_KEY", ""));

  // In production both live in the database that stores the events, and are
  // written in the same transaction.
  static final Set<String> seen = new HashSet<>(); // webhook-id
  static final Map<String, Long> highest = new HashMap<>(); // order key -> sequence

  static String header(Headers headers, String name) {
    String value = headers.getFirst(name);
    return value == null ? "" : value;
  }

  /** Are the bytes those that Hookline signed? */
  static boolean signed(Headers headers, byte[] body) throws Exception {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(APP_KEY, "HmacSHA256"));
    mac.update((header(headers, "webhook-id") + "." + header(headers, "webhook-timestamp") + ".").getBytes(StandardCharsets.UTF_8));
    byte[] want = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(StandardCharsets.UTF_8);
    for (String given : header(headers, "webhook-signature").split(" ")) { // several while a key is rotated
      if (MessageDigest.isEqual(given.getBytes(StandardCharsets.UTF_8), want)) return true;
    }
    return false;
  }

  /** The plain body of a sealed one. */
  static byte[] open(Headers headers, byte[] body) throws Exception {
    String kind = header(headers, "X-Hookline-Encryption");
    if (kind.isEmpty()) return body;
    byte[] raw = Base64.getDecoder().decode(fields(body).get("content"));
    SecretKeySpec key = new SecretKeySpec(kind.equals("aes-128-ecb") ? Arrays.copyOf(SEAL_KEY, 16) : SEAL_KEY, "AES");
    switch (kind) {
      case "aes-256-gcm": { // nonce, text, tag; bound to the headers of this push
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.DECRYPT_MODE, key, new GCMParameterSpec(128, raw, 0, 12));
        String bound = COMPANY_ID + header(headers, "X-Log-TimeStamp") + header(headers, "X-Log-RandomCode");
        cipher.updateAAD(bound.getBytes(StandardCharsets.UTF_8));
        return cipher.doFinal(raw, 12, raw.length - 12);
      }
      case "aes-256-cbc": { // iv, text
        Cipher cipher = Cipher.getInstance("AES/CBC/PKCS5Padding");
        cipher.init(Cipher.DECRYPT_MODE, key, new IvParameterSpec(raw, 0, 16));
        return cipher.doFinal(raw, 16, raw.length - 16);
      }
      case "aes-128-ecb": {
        Cipher cipher = Cipher.getInstance("AES/ECB/PKCS5Padding");
        cipher.init(Cipher.DECRYPT_MODE, key);
        return cipher.doFinal(raw);
      }
      default:
        throw new IllegalArgumentException("unknown encryption");
    }
  }

  static final Pattern TOKEN = Pattern.compile("\"(?:\\\\.|[^\"\\\\])*+\"|[{}\\[\\]:,]|[^\\s{}\\[\\]:,\"]+");

  /** The texts and numbers of a JSON object, by name. The JDK reads no JSON: use your own library here. */
  static Map<String, String> fields(byte[] body) {
    Map<String, String> found = new HashMap<>();
    var tokens = TOKEN.matcher(new String(body, StandardCharsets.UTF_8));
    String before = "", name = "";
    for (int depth = 0; tokens.find(); ) {
      String token = tokens.group();
      switch (token) {
        case "{", "[" -> depth++;
        case "}", "]" -> depth--;
        case ":" -> name = before;
        default -> {
          boolean value = depth == 1 && !name.isEmpty(); // not inside of a value, where names may be the same
          if (value && !token.equals(",") && !token.equals("null")) found.put(text(name), text(token).strip());
        }
      }
      if (depth == 1 && !token.equals(":")) name = "";
      before = token;
    }
    return found;
  }

  /** What a token stands for: a number as it is written, a text without quotes and escapes. */
  static String text(String token) {
    if (!token.startsWith("\"")) return token;
    StringBuilder out = new StringBuilder();
    for (int i = 1; i < token.length() - 1; i++) {
      char c = token.charAt(i);
      if (c == '\\') {
        switch (c = token.charAt(++i)) {
          case 'u' -> { c = (char) Integer.parseInt(token.substring(i + 1, i + 5), 16); i += 4; }
          case 'b' -> c = '\b';
          case 'f' -> c = '\f';
          case 'n' -> c = '\n';
          case 'r' -> c = '\r';
          case 't' -> c = '\t';
        }
      }
      out.append(c);
    }
    return out.toString();
  }

  /** What an event is about; sequence grows within it. An id may be a text or a number of any length, or null. */
  static String orderKey(String event, byte[] body) {
    Map<String, String> b = fields(body);
    String kind = event.split("\\.")[0];
    if (kind.equals("cdr")) return event + "/" + b.getOrDefault("callID", "") + "/" + b.getOrDefault("partyId", "");
    for (String name : new String[] {"contactId", "chatId", "visitorId", "callID", "agentUUID", "agentID"}) {
      if (!b.getOrDefault(name, "").isEmpty()) return kind + "/" + b.get(name);
    }
    return kind;
  }

  static int receive(Headers headers, byte[] body) throws Exception {
    // 1. The signature, before anything that the push says is believed.
    if (!signed(headers, body)) return 401;
    // 2. The time: a push recorded long ago is not played back to us.
    long at = Long.parseLong(header(headers, "webhook-timestamp"));
    if (Math.abs(System.currentTimeMillis() / 1000 - at) > 300) return 401;
    byte[] plain = open(headers, body); // throws when our key is wrong: 500, it shall come again
    String id = header(headers, "webhook-id"), event = header(headers, "X-Hookline-Event");
    long sequence = Long.parseLong(header(headers, "X-Hookline-Sequence"));
    String key = orderKey(event, plain);
    synchronized (seen) {
      // 3. The id: at least once means that some come twice.
      if (seen.contains(id)) return 200;
      // 4. The order: what is older than what we know must not overwrite it.
      String word = "applied";
      if (sequence <= highest.getOrDefault(key, 0L)) word = "outdated"; // keep it for the record, leave the state as it is
      else highest.put(key, sequence);
      System.out.println(word + " " + event + " " + id + " " + sequence + " " + new String(plain, StandardCharsets.UTF_8));
      seen.add(id);
    }
    return 200; // 5. Only now that it is stored; whatever takes long comes later.
  }

  public static void main(String[] args) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT"))), 0);
    server.setExecutor(Executors.newFixedThreadPool(16));
    server.createContext("/", exchange -> {
      int status = 500;
      try {
        status = receive(exchange.getRequestHeaders(), exchange.getRequestBody().readAllBytes());
      } catch (Exception error) {
        System.err.println(error);
      }
      exchange.sendResponseHeaders(status, -1);
      exchange.close();
    });
    server.start();
  }
}
