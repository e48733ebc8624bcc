// Node's diagnostic report of a process with one JavaScript thread. `node crowd.js`
"use strict";

process.report.filename = "stderr";
process.on("SIGUSR2", () => {
  process.report.writeReport();
  process.stderr.write("==== end of report ====\n");
});
process.stdin.resume();
console.log("ready");
