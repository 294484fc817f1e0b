curl --location -g --request POST '{{brand}}/api/v2/liveQueue/count' \
--data-raw '{
"ssid":"{{ssid}}"
}'
