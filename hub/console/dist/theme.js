try{let e=localStorage.getItem("hookline.theme");(e==="light"||e==="dark")&&(document.documentElement.dataset.theme=e)}catch{}
