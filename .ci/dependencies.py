#!/usr/bin/env python3
"""Checks the licence, the source and the number of versions of every dependency.

Reads `cargo metadata` and needs no network once the dependencies have been fetched. Covers all
features and all platforms, or only this platform if the crates of other platforms cannot be
fetched. A crate is *shipped* if the library or the binary needs it, also if only at build time. The
others serve tests and benchmarks.
"""

import collections
import json
import re
import subprocess
import sys

# The licences that are allowed. Read one before you add it.
LICENCES = {"MIT", "Apache-2.0", "BSD-3-Clause", "Unicode-3.0"}

# The number of versions of the crates that may have more than one. An entry that is not needed any
# more fails the check, too.
VERSIONS = {
    "syn": 2,  # serde_derive has moved to 3, other macros have not
}


def main():
    metadata = read_metadata()
    packages = {package["id"]: package for package in metadata["packages"]}
    members = set(metadata["workspace_members"])
    edges = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
    shipped = reachable(edges, members, lambda kind: kind != "dev")
    everything = reachable(edges, members, lambda kind: True)
    faults = []
    for package_id in sorted(everything):
        package = packages[package_id]
        faults += faults_of(package, package_id in members, LICENCES)
    faults += faults_of_versions(packages[package_id] for package_id in everything)
    for fault in faults:
        print(fault)
    of_others = len(shipped - members)
    print(f"{of_others} crates are shipped, {len(everything - shipped)} serve development")
    sys.exit(1 if faults else 0)


def read_metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        version = subprocess.run(["rustc", "-vV"], stdout=subprocess.PIPE, check=True, text=True)
        host = re.search("^host: (.*)$", version.stdout, re.MULTILINE).group(1)
        here = ["--offline", "--filter-platform", host]
        result_here = subprocess.run(command + here, stdout=subprocess.PIPE, text=True)
        if result_here.returncode != 0:
            sys.exit(f"cargo metadata: {result.stderr}")
        print(f"the crates of other platforms cannot be fetched: only {host} is covered")
        result = result_here
    return json.loads(result.stdout)


def reachable(edges, roots, follows):
    """Returns the packages that `roots` reach by dependencies that `follows` accepts."""
    found, left = set(roots), list(roots)
    while left:
        for edge in edges[left.pop()]:
            is_followed = any(follows(kind["kind"]) for kind in edge["dep_kinds"])
            if is_followed and edge["pkg"] not in found:
                found.add(edge["pkg"])
                left.append(edge["pkg"])
    return found


def faults_of(package, is_member, allowed):
    name = f"{package['name']} {package['version']}"
    licence = package["license"]
    if licence is None:
        yield f"{name}: has no licence: expected an SPDX expression"
    elif not is_met(licence, allowed):
        yield f"{name}: has the licence \"{licence}\": expected {', '.join(sorted(allowed))}"
    if not is_member and not (package["source"] or "").startswith("registry+"):
        yield f"{name}: comes from {package['source']}: expected a registry"


def faults_of_versions(packages):
    versions = collections.defaultdict(list)
    for package in packages:
        versions[package["name"]].append(package["version"])
    for name, found in sorted(versions.items()):
        permitted = VERSIONS.get(name, 1)
        if len(found) > permitted:
            all_found = ", ".join(sorted(found))
            yield f"{name}: {len(found)} versions ({all_found}): expected {permitted}"
    for name, permitted in VERSIONS.items():
        if len(versions[name]) < permitted:
            yield f"{name}: {len(versions[name])} versions, but VERSIONS has {permitted}: lower it"


def is_met(expression, allowed):
    """Returns whether `allowed` licences satisfy an SPDX expression.

    `AND` binds more tightly than `OR`. `/` is an old form of `OR`.
    """
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def alternatives():
        met = conjunction()
        while words and words[0] == "OR":
            words.pop(0)
            met = conjunction() or met
        return met

    def conjunction():
        met = term()
        while words and words[0] == "AND":
            words.pop(0)
            met = term() and met
        return met

    def term():
        word = words.pop(0) if words else ""
        if word == "(":
            met = alternatives()
            return words[:1] == [")"] and words.pop(0) == ")" and met
        if words and words[0] == "WITH":
            words.pop(0)
            word = f"{word} WITH {words.pop(0) if words else ''}"
        return word in allowed

    met = alternatives()
    return met and not words


if __name__ == "__main__":
    main()
