// A receiver of Hookline's pushes for Node 18 or later, without packages.
//
//   PORT=9000 COMPANY_ID=demo APP_KEY=… ENCRYPTION_KEY=… node receiver.mjs
import { createServer } from "node:http";
import { createDecipheriv, createHmac, timingSafeEqual } from "node:crypto";

const { PORT, COMPANY_ID, APP_KEY, ENCRYPTION_KEY = "" } = process.env;

// In production both live in the database that stores the events, and are
// written in the same transaction.
const seen = new Set(); // webhook-id
const highest = new Map(); // order key -> sequence

// signed says whether the bytes are those that Hookline signed.
function signed(headers, body) {
  const mac = createHmac("sha256", APP_KEY);
  mac.update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`).update(body);
  const want = Buffer.from("v1," + mac.digest("base64"));
  return (headers["webhook-signature"] ?? "").split(" ").some((text) => { // several while a key is rotated
    const given = Buffer.from(text);
    return given.length === want.length && timingSafeEqual(given, want);
  });
}

// open gives the plain body of a sealed one.
function open(headers, body) {
  const kind = headers["x-hookline-encryption"];
  if (!kind) return body;
  const raw = Buffer.from(JSON.parse(body).content, "base64");
  const key = Buffer.from(ENCRYPTION_KEY, "base64");
  let decipher, text;
  switch (kind) {
    case "aes-256-gcm": // nonce, text, tag; bound to the headers of this push
      decipher = createDecipheriv(kind, key, raw.subarray(0, 12), { authTagLength: 16 });
      decipher.setAAD(Buffer.from(COMPANY_ID + headers["x-log-timestamp"] + headers["x-log-randomcode"]));
      decipher.setAuthTag(raw.subarray(-16));
      text = raw.subarray(12, -16);
      break;
    case "aes-256-cbc": // iv, text
      decipher = createDecipheriv(kind, key, raw.subarray(0, 16));
      text = raw.subarray(16);
      break;
    case "aes-128-ecb":
      decipher = createDecipheriv(kind, key.subarray(0, 16), null);
      text = raw;
      break;
    default:
      throw new Error("unknown encryption");
  }
  return Buffer.concat([decipher.update(text), decipher.final()]);
}

// parse reads JSON with every number as the text that it is written as: Number
// would round ids above 2^53.
function parse(text) {
  return JSON.parse(text.replace(/"(?:\\.|[^"\\])*"|-?\d[\d.eE+-]*/g, (token) => (token[0] === '"' ? token : `"${token}"`)));
}

// orderKey names what an event is about; sequence grows within it. An id may be
// a text or a number of any length, or null.
function orderKey(event, b) {
  const id = (name) => (typeof b[name] === "string" ? b[name].trim() : "");
  const kind = event.split(".")[0];
  if (kind === "cdr") return `${event}/${id("callID")}/${id("partyId")}`;
  return `${kind}/${["contactId", "chatId", "visitorId", "callID", "agentUUID", "agentID"].map(id).find((text) => text) ?? ""}`;
}

function receive(headers, body) {
  // 1. The signature, before anything that the push says is believed.
  if (!signed(headers, body)) return 401;
  // 2. The time: a push recorded long ago is not played back to us.
  if (!(Math.abs(Date.now() / 1000 - Number(headers["webhook-timestamp"])) <= 300)) return 401;
  const plain = open(headers, body).toString("utf8"); // throws when our key is wrong: 500, it shall come again
  const id = headers["webhook-id"], event = headers["x-hookline-event"];
  const sequence = Number(headers["x-hookline-sequence"]);
  const key = orderKey(event, parse(plain));
  // 3. The id: at least once means that some come twice.
  if (seen.has(id)) return 200;
  // 4. The order: what is older than what we know must not overwrite it.
  let word = "applied";
  if (sequence <= (highest.get(key) ?? 0)) word = "outdated"; // keep it for the record, leave the state as it is
  else highest.set(key, sequence);
  console.log(word, event, id, sequence, plain);
  seen.add(id);
  return 200; // 5. Only now that it is stored; whatever takes long comes later.
}

createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    let status = 500;
    try {
      status = receive(request.headers, Buffer.concat(chunks)); // the bytes as they came, never JSON parsed and printed again
    } catch (error) {
      console.error(error.message);
    }
    response.writeHead(status).end();
  });
}).listen(Number(PORT), "127.0.0.1");
