"""Holds Tekton's references against each other: what a schema cannot see and a run would find out hours later."""

import re

VARIABLE = re.compile(r"\$\(([^()]+)\)")


def problems(manifests):
    """`manifests` is a list of (file, document)."""
    tasks = {d["metadata"]["name"]: d for _, d in manifests if d["kind"] == "Task"}
    pipelines = {d["metadata"]["name"]: d for _, d in manifests if d["kind"] == "Pipeline"}
    for file, document in manifests:
        check = {"Task": task_problems, "Pipeline": pipeline_problems, "PipelineRun": run_problems}.get(document["kind"])
        if check is None:
            yield file, f"unexpected kind {document['kind']}"
            continue
        for problem in check(document["spec"], tasks if document["kind"] == "Pipeline" else pipelines):
            yield file, problem


def task_problems(spec, _):
    params, results = declared(spec, "params"), declared(spec, "results")
    workspaces = {w["name"] for w in spec.get("workspaces", [])}
    yield from described(spec)
    used = set()
    for path, text in strings({key: value for key, value in spec.items() if key != "params"}):
        for variable in VARIABLE.findall(text):
            kind, name, *rest = variable.replace("[*]", ".*").split(".")
            if kind == "params":
                used.add(name)
                yield from param_use(params, name, rest, text, path)
                if path.endswith(".script"):
                    yield f"{path}: $({variable}) in a script; pass it through env"
            elif kind == "results" and (name not in results or rest != ["path"]):
                yield f"{path}: $({variable}) names no result of this task"
            elif kind == "workspaces" and name not in workspaces:
                yield f"{path}: $({variable}) names no workspace of this task"
            elif kind not in ("params", "results", "workspaces", "context", "step", "steps"):
                yield f"{path}: $({variable}) is nothing that Tekton knows"
    for name in sorted(set(params) - used):
        yield f"param {name} is declared and never used"
    written = " ".join(text for _, text in strings(spec["steps"]))
    for name in sorted(results):
        if f"$(results.{name}.path)" not in written:
            yield f"result {name} is declared and no step writes it"


def pipeline_problems(spec, tasks):
    params = declared(spec, "params")
    yield from described(spec)
    main = {t["name"]: t for t in spec.get("tasks", [])}
    used, after = set(), {}
    for section in ("tasks", "finally"):
        for step in spec.get(section, []):
            where = f"{section}.{step['name']}"
            task = tasks.get(step["taskRef"]["name"])
            if task is None:
                yield f"{where}: there is no Task {step['taskRef']['name']}"
                continue
            yield from given(where, step.get("params", []), declared(task["spec"], "params"))
            needed = {w["name"] for w in task["spec"].get("workspaces", []) if not w.get("optional")}
            for name in sorted(needed - {w["name"] for w in step.get("workspaces", [])}):
                yield f"{where}: workspace {name} of {step['taskRef']['name']} is not bound"
            if section == "tasks" and not ("retries" in step and "timeout" in step):
                yield f"{where}: says neither how often to retry nor when to give up"
            after[step["name"]] = set(step.get("runAfter", []))
            for path, text in strings(step, where):
                for variable in VARIABLE.findall(text):
                    kind, name, *rest = variable.replace("[*]", ".*").split(".")
                    if kind == "params":
                        used.add(name)
                        yield from param_use(params, name, rest, text, path)
                    elif kind == "tasks":
                        after[step["name"]].add(name)
                        yield from task_use(main, tasks, variable, section, path)
                    elif kind != "context":
                        yield f"{path}: $({variable}) is nothing that Tekton knows"
    for result in spec.get("results", []):
        for variable in VARIABLE.findall(result["value"]):
            yield from task_use(main, tasks, variable, "results", f"results.{result['name']}")
    for name in sorted(set(params) - used):
        yield f"param {name} is declared and never used"
    if circle := in_a_circle(after):
        yield f"these tasks wait for each other: {', '.join(circle)}"


def task_use(main, tasks, variable, section, path):
    """`$(tasks.stitch.results.item)`, `$(tasks.stitch.status)`, `$(tasks.status)`."""
    parts = variable.split(".")
    if parts == ["tasks", "status"] and section == "finally":
        return
    name, rest = parts[1], parts[2:]
    if name not in main:
        yield f"{path}: $({variable}) names no task of this pipeline"
    elif rest == ["status"]:
        if section != "finally":
            yield f"{path}: $({variable}) is known only in finally"
    elif rest[:1] == ["results"] and len(rest) == 2:
        task = tasks.get(main[name]["taskRef"]["name"])
        if task is not None and rest[1] not in declared(task["spec"], "results"):
            yield f"{path}: {main[name]['taskRef']['name']} has no result {rest[1]}"
        if section == "finally":
            yield f"{path}: $({variable}) in finally: Tekton skips the whole task when {name} failed"
    else:
        yield f"{path}: $({variable}) is nothing that Tekton knows"


def run_problems(spec, pipelines):
    pipeline = pipelines.get(spec["pipelineRef"]["name"])
    if pipeline is None:
        yield f"there is no Pipeline {spec['pipelineRef']['name']}"
        return
    yield from given("params", spec.get("params", []), declared(pipeline["spec"], "params"))
    needed = {w["name"] for w in pipeline["spec"].get("workspaces", []) if not w.get("optional")}
    for name in sorted(needed - {w["name"] for w in spec.get("workspaces", [])}):
        yield f"workspace {name} is not bound"


def declared(spec, section):
    return {entry["name"]: entry for entry in spec.get(section, [])}


def type_of(param):
    return param.get("type", "string")


def described(spec):
    if not spec.get("description"):
        yield "has no description"
    for section in ("params", "results"):
        for entry in spec.get(section, []):
            if not (entry.get("type") and entry.get("description")):
                yield f"{section}.{entry['name']}: needs a type and a description"


def param_use(params, name, rest, text, path):
    """An array is spread alone in its place, `$(params.x[*])`; a string is never spread."""
    if name not in params:
        yield f"{path}: there is no param {name}"
    elif (type_of(params[name]) == "array") != (rest == ["*"]):
        yield f"{path}: param {name} is of type {type_of(params[name])}, which is not how it is used"
    elif rest == ["*"] and VARIABLE.sub("", text):
        yield f"{path}: an array is spread alone, not inside other text"


def given(where, values, params):
    for value in values:
        name = value["name"]
        if name not in params:
            yield f"{where}: there is no param {name} to give"
        elif isinstance(value["value"], list) != (type_of(params[name]) == "array"):
            yield f"{where}: param {name} is of type {type_of(params[name])}, which the value is not"
    for name, param in params.items():
        if "default" not in param and name not in {value["name"] for value in values}:
            yield f"{where}: param {name} is not given and has no default"


def in_a_circle(after):
    left = dict(after)
    while free := [name for name, needs in left.items() if not needs & set(left)]:
        for name in free:
            del left[name]
    return sorted(left)


def strings(value, path=""):
    """Every string in a document, with the place it stands at."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from strings(inner, f"{path}[{index}]")
