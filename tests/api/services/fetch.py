"""A client with urequests, and one with umqtt: what they hear is printed.

The settings say what to do: url=http://10.0.0.1:8000 or broker=10.0.0.1.
"""

import json
import time

import urequests
from umqtt.simple import MQTTClient

REQUIREMENTS = ("micropython-urequests==0.9.1", "micropython-umqtt.simple==1.3.4")


def start(machine):
    try:
        if machine.settings.get("url"):
            fetch(machine.settings.get("url"))
        if machine.settings.get("broker"):
            publish(machine.settings.get("broker"))
    finally:
        print("finished")
    machine.stop()


def fetch(url):
    answer = urequests.get(url + "/hello", headers={"X-Test": "yes"})
    print("get", answer.status_code, answer.text)
    answer = urequests.post(url + "/echo", json={"number": 7})
    print("post", answer.json()["number"])
    answer = urequests.put(url + "/echo", data="x" * 100000)
    print("put", len(answer.content))
    try:
        urequests.get("http://10.0.0.1:1/")
    except OSError as error:
        print("refused", error.args[0])
    try:
        urequests.get("https://10.0.0.1/")
    except OSError as error:
        print("https", error)


def publish(broker):
    heard = []
    client = MQTTClient("importos", broker)
    client.set_callback(lambda topic, message: heard.append((topic, message)))
    client.connect()
    client.subscribe(b"to/machine")
    client.publish(b"from/machine", json.dumps({"up": True}).encode(), qos=1)
    while not heard:
        client.wait_msg()
    print("heard", heard)
    print("nothing yet", client.check_msg())
    client.ping()
    time.sleep_ms(20)
    client.disconnect()
