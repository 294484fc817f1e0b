curl --location -g --request POST '{{brand}}/api/v2/Agent/live' \
--data-raw '{"userId":"{{userid}}","token":"{{token}}"}'
