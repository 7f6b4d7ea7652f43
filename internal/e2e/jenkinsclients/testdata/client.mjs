// Drives a Jenkins with npm's jenkins, and prints what it found as JSON.
import Jenkins from "jenkins";

const url = new URL(process.env.JENKINS_URL);
url.username = process.env.JENKINS_USER;
url.password = process.env.JENKINS_SECRET;
const jenkins = new Jenkins({ baseUrl: url.href, crumbIssuer: true });
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const got = {};

const reply = await fetch(process.env.JENKINS_URL + "/api/json", { headers: { authorization: "Basic " + btoa(url.username + ":" + url.password) } });
got.version = reply.headers.get("x-jenkins");
await jenkins.info();

async function buildOf(item) {
  for (;;) {
    const info = await jenkins.queue.item(item);
    if (info.executable) return info.executable.number;
    await sleep(100);
  }
}

const number = await buildOf(await jenkins.job.build({ name: "team/shop", parameters: { TAG: "v1" } }));
const stream = jenkins.build.logStream("team/shop", number, { delay: 100 });
got.log = "";
stream.on("data", (text) => (got.log += text));
await new Promise((done, fail) => { stream.on("end", done); stream.on("error", fail); });
got.streamed = true;
const info = await jenkins.build.get("team/shop", number);
got.result = info.result;
const file = await fetch(process.env.JENKINS_URL + "/job/team/job/shop/" + number + "/artifact/" + info.artifacts[0].relativePath,
  { headers: { authorization: "Basic " + btoa(url.username + ":" + url.password) } });
got.artifact = await file.text();

const item = await jenkins.job.build({ name: "waiting", parameters: { TAG: "1" } });
try {
  await jenkins.queue.cancel(item);
} catch (e) {
  got.complaint = e.message; // it expects the redirect that Jenkins answered before 2.211
}
got.cancelled = (await jenkins.queue.item(item)).cancelled;

const long = await buildOf(await jenkins.job.build("long"));
await jenkins.build.stop("long", long);
while ((await jenkins.build.get("long", long)).building) await sleep(100);
got.stopped = (await jenkins.build.get("long", long)).result;

try {
  await jenkins.job.get("none");
} catch (e) {
  got.missing = e.res?.statusCode ?? (/not found/.test(e.message) ? 404 : e.message);
}
console.log(JSON.stringify(got));
