function queryOptions(options){return options}export{queryOptions};
