import http.client
conn = http.client.HTTPSConnection("{{brand}}")
payload = "{\"userId\":\"{{userid}}\",\"token\":\"{{token}}\"}"
headers = {
'Content-Length': ''
}
conn.request("POST", "/api/v2/Agent/live", payload, headers)
res = conn.getresponse()
data = res.read()
print(data.decode("utf-8"))
