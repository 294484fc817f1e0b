// A receiver of Hookline's pushes for ASP.NET Core on .NET 8 or later.
//
//   dotnet new web -n Receiver && cp Receiver.cs Receiver/Program.cs && cd Receiver
//   PORT=9000 COMPANY_ID=demo APP_KEY=… ENCRYPTION_KEY=… dotnet run
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

string Setting(string name) => Environment.GetEnvironmentVariable(name) ?? "";
var companyId = Setting("COMPANY_ID");
var appKey = Encoding.UTF8.GetBytes(Setting("APP_KEY"));
var sealKey = Convert.FromBase64String(Setting("ENCRYPTION_KEY"));

// In production both live in the database that stores the events, and are
// written in the same transaction.
var seen = new HashSet<string>(); // webhook-id
var highest = new Dictionary<string, long>(); // order key -> sequence

// Signed says whether the bytes are those that Hookline signed.
bool Signed(IHeaderDictionary headers, byte[] body)
{
    var text = Encoding.UTF8.GetBytes($"{headers["webhook-id"]}.{headers["webhook-timestamp"]}.").Concat(body).ToArray();
    var want = Encoding.UTF8.GetBytes("v1," + Convert.ToBase64String(HMACSHA256.HashData(appKey, text)));
    return headers["webhook-signature"].ToString().Split(' ') // several while a key is rotated
        .Any(given => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given), want));
}

// Open gives the plain body of a sealed one.
byte[] Open(IHeaderDictionary headers, byte[] body)
{
    var kind = headers["X-Hookline-Encryption"].ToString();
    if (kind == "") return body;
    var raw = JsonDocument.Parse(body).RootElement.GetProperty("content").GetBytesFromBase64();
    if (kind == "aes-256-gcm") // nonce, text, tag; bound to the headers of this push
    {
        var plain = new byte[raw.Length - 28];
        var bound = Encoding.UTF8.GetBytes(companyId + headers["X-Log-TimeStamp"] + headers["X-Log-RandomCode"]);
        using var gcm = new AesGcm(sealKey, 16);
        gcm.Decrypt(raw[..12], raw[12..^16], raw[^16..], plain, bound);
        return plain;
    }
    using var aes = Aes.Create();
    switch (kind)
    {
        case "aes-256-cbc": // iv, text
            aes.Key = sealKey;
            return aes.DecryptCbc(raw[16..], raw[..16]);
        case "aes-128-ecb":
            aes.Key = sealKey[..16];
            return aes.DecryptEcb(raw, PaddingMode.PKCS7);
    }
    throw new CryptographicException("unknown encryption");
}

// OrderKey names what an event is about; sequence grows within it. An id may be
// a text or a number of any length, or null.
string OrderKey(string type, JsonElement body)
{
    string Field(string name) => !body.TryGetProperty(name, out var value) ? "" : value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!.Trim(),
        JsonValueKind.Number => value.GetRawText(), // as it is written: a double would round it
        _ => "",
    };
    var kind = type.Split('.')[0];
    if (kind == "cdr") return $"{type}/{Field("callID")}/{Field("partyId")}";
    string[] names = ["contactId", "chatId", "visitorId", "callID", "agentUUID", "agentID"];
    return $"{kind}/{names.Select(Field).FirstOrDefault(value => value != "")}";
}

int Receive(IHeaderDictionary headers, byte[] body)
{
    // 1. The signature, before anything that the push says is believed.
    if (!Signed(headers, body)) return 401;
    // 2. The time: a push recorded long ago is not played back to us.
    var at = long.Parse(headers["webhook-timestamp"].ToString());
    if (Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - at) > 300) return 401;
    var plain = Open(headers, body); // throws when our key is wrong: 500, it shall come again
    string id = headers["webhook-id"].ToString(), type = headers["X-Hookline-Event"].ToString();
    var sequence = long.Parse(headers["X-Hookline-Sequence"].ToString());
    var key = OrderKey(type, JsonDocument.Parse(plain).RootElement);
    lock (seen)
    {
        // 3. The id: at least once means that some come twice.
        if (seen.Contains(id)) return 200;
        // 4. The order: what is older than what we know must not overwrite it.
        var word = "applied";
        if (sequence <= highest.GetValueOrDefault(key)) word = "outdated"; // keep it for the record, leave the state as it is
        else highest[key] = sequence;
        Console.WriteLine($"{word} {type} {id} {sequence} {Encoding.UTF8.GetString(plain)}");
        seen.Add(id);
    }
    return 200; // 5. Only now that it is stored; whatever takes long comes later.
}

var app = WebApplication.CreateBuilder(args).Build();
app.MapPost("/{**path}", async (HttpRequest request) =>
{
    using var body = new MemoryStream();
    await request.Body.CopyToAsync(body);
    return Results.StatusCode(Receive(request.Headers, body.ToArray()));
});
app.Run($"http://127.0.0.1:{Setting("PORT")}");
