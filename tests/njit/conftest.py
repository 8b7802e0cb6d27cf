def pytest_addoption(parser):
    parser.addoption("--every", type=int, default=1, help="run each N-th case of a test, and the table for float32")


def pytest_collection_modifyitems(config, items):
    """Of each test with many cases, keep the first, the N-th after it, and so on; of the table all cases of float32."""
    every, seen, kept, left = config.getoption("every"), {}, [], []
    for item in items:
        test = item.nodeid.partition("[")[0]
        if item.path.stem == "test_table" and "float64" not in item.nodeid:
            kept.append(item)
            continue
        number = seen[test] = seen.get(test, -1) + 1
        (kept if number % every == 0 else left).append(item)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)
