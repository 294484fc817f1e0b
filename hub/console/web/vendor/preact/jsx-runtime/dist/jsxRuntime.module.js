import{options as r,Fragment as e}from"preact";export{Fragment}from"preact";var t=/["&<]/;function n(r2){if(0===r2.length||
false===t.test(r2))return r2;for(var e2=0,n2=0,o2="",f2="";n2<r2.length;n2++){switch(r2.charCodeAt(n2)){case 34:f2="&quo\
t;";break;case 38:f2="&amp;";break;case 60:f2="&lt;";break;default:continue}n2!==e2&&(o2+=r2.slice(e2,n2)),o2+=f2,e2=n2+
1}return n2!==e2&&(o2+=r2.slice(e2,n2)),o2}var o=/acit|ex(?:s|g|n|p|$)|rph|grid|ows|mnc|ntw|ine[ch]|zoo|^ord|itera/i,f=0,
i=Array.isArray;function u(e2,t2,n2,o2,i2,u2){t2||(t2={});var a2,c2,p2=t2;if("ref"in p2)for(c2 in p2={},t2)"ref"==c2?a2=
t2[c2]:p2[c2]=t2[c2];var l2={type:e2,props:p2,key:n2,ref:a2,__k:null,__:null,__b:0,__e:null,__c:null,constructor:void 0,
__v:--f,__i:-1,__u:0,__source:i2,__self:u2};if("function"==typeof e2&&(a2=e2.defaultProps))for(c2 in a2)void 0===p2[c2]&&
(p2[c2]=a2[c2]);return r.vnode&&r.vnode(l2),l2}function a(r2){var t2=u(e,{tpl:r2,exprs:[].slice.call(arguments,1)});return t2.
key=t2.__v,t2}var c={},p=/[A-Z]/g;function l(e2,t2){if(r.attr){var f2=r.attr(e2,t2);if("string"==typeof f2)return f2}if(t2=
(function(r2){return null!==r2&&"object"==typeof r2&&"function"==typeof r2.valueOf?r2.valueOf():r2})(t2),"ref"===e2||"ke\
y"===e2)return"";if("style"===e2&&"object"==typeof t2){var i2="";for(var u2 in t2){var a2=t2[u2];if(null!=a2&&""!==a2){var l2="\
-"==u2[0]?u2:c[u2]||(c[u2]=u2.replace(p,"-$&").toLowerCase()),s2=";";"number"!=typeof a2||l2.startsWith("--")||o.test(l2)||
(s2="px;"),i2=i2+l2+":"+a2+s2}}return e2+'="'+n(i2)+'"'}return null==t2||false===t2||"function"==typeof t2||"object"==typeof t2?
"":true===t2?e2:e2+'="'+n(""+t2)+'"'}function s(r2){if(null==r2||"boolean"==typeof r2||"function"==typeof r2)return null;
if("object"==typeof r2){if(void 0===r2.constructor)return r2;if(i(r2)){for(var e2=0;e2<r2.length;e2++)r2[e2]=s(r2[e2]);return r2}}
return n(""+r2)}export{u as jsx,l as jsxAttr,u as jsxDEV,s as jsxEscape,a as jsxTemplate,u as jsxs};
