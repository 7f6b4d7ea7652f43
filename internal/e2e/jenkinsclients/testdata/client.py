"""Drives a Jenkins with Debian's python3-jenkins, and prints what it found as JSON."""
import json
import os
import time

import jenkins
import requests

server = jenkins.Jenkins(os.environ["JENKINS_URL"], os.environ["JENKINS_USER"], os.environ["JENKINS_SECRET"], timeout=10)
# Its first call must be another than get_version, which does not log in by itself.
got = {"user": server.get_whoami()["id"], "version": server.get_version()}
got["jobs"] = [j["fullname"] for j in server.get_all_jobs() if j["_class"] != "com.cloudbees.hudson.plugins.folder.Folder"]


def build_of(item):
    while True:
        info = server.get_queue_item(item)
        if info.get("executable"):
            return info["executable"]["number"]
        time.sleep(0.1)


number = build_of(server.build_job("team/shop", {"TAG": "v1"}))
while True:
    info = server.get_build_info("team/shop", number)
    if not info["building"] and not info.get("inProgress"):
        break
    time.sleep(0.1)
got["result"] = info["result"]
got["log"] = server.get_build_console_output("team/shop", number)
got["passed"] = server.get_build_test_report("team/shop", number)["passCount"]
artifact = info["url"] + "artifact/" + info["artifacts"][0]["relativePath"]
got["artifact"] = server.jenkins_open(requests.Request("GET", artifact))

item = server.build_job("waiting", {"TAG": "1"})
assert [i["id"] for i in server.get_queue_info()] == [item]
try:
    server.cancel_queue(item)
except jenkins.EmptyResponseException:
    pass  # the client expects the answer of Jenkins before 2.211; 204 has no body
got["cancelled"] = server.get_queue_item(item).get("cancelled", False)

number = build_of(server.build_job("long"))
try:
    got["running"] = len(server.get_running_builds())
except jenkins.JenkinsException:  # old clients do not know that the node of a controller is "(built-in)" now
    got["running"] = int(server.get_build_info("long", number)["building"])
server.stop_build("long", number)
while server.get_build_info("long", number)["building"]:
    time.sleep(0.1)
got["stopped"] = server.get_build_info("long", number)["result"]

try:
    server.get_job_info("none")
except jenkins.JenkinsException as e:
    got["missing"] = 404 if "does not exist" in str(e) else str(e)

print(json.dumps(got))
