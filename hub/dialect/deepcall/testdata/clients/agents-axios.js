var axios = require('axios');
var data = '{"userId":"{{userid}}","token":"{{token}}"}';
var config = {
method: 'post',
url: '{{brand}}/api/v2/Agent/live',
headers: {
'Content-Length': ''
},
data : data
};
axios(config)
.then(function (response) {
console.log(JSON.stringify(response.data));
})
.catch(function (error) {
console.log(error);
});
