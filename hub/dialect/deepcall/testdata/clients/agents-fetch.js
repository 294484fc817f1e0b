var myHeaders = new Headers();
var raw = "{\"userId\":\"{{userid}}\",\"token\":\"{{token}}\"}";
var requestOptions = {
method: 'POST',
headers: myHeaders,
body: raw,
redirect: 'follow'
};
fetch("{{brand}}/api/v2/Agent/live", requestOptions)
.then(response => response.text())
.then(result => console.log(result))
.catch(error => console.log('error', error));
