import http.client
conn = http.client.HTTPSConnection("{{brand}}")
payload = "{\n \"ssid\":\"{{ssid}}\"\n}"
headers = {
'Content-Length': ''
}
conn.request("POST", "/api/v2/liveQueue/count", payload, headers)
res = conn.getresponse()
data = res.read()
print(data.decode("utf-8"))
