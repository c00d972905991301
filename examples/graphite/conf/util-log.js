// StatsD 0.9.0 logs by util.log, which Node.js dropped in version 23.
const util = require('util');
util.log = util.log || ((...words) => console.log(new Date().toISOString(), '-', ...words));
