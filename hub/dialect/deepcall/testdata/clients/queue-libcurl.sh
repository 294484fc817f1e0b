curl --request POST '{{brand}}/api/v2/liveQueue/count' --location --http1.1 \
-H 'Content-Length: ' \
--data-raw '{"ssid":"{{ssid}}"}'
