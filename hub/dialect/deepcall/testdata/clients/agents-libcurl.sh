curl --request POST '{{brand}}/api/v2/Agent/live' --location --http1.1 \
-H 'Content-Length: ' \
--data-raw '{"userId":"{{userid}}","token":"{{token}}"}'
