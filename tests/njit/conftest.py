def pytest_addoption(parser):
    parser.addoption("--every", type=int, default=1, help="run each N-th case of a test, and all tests of the table")


def pytest_collection_modifyitems(config, items):
    """Of each test with many cases, keep the first, the N-th after it, and so on."""
    every, seen, kept, left = config.getoption("every"), {}, [], []
    for item in items:
        test = item.nodeid.partition("[")[0]
        number = seen[test] = seen.get(test, -1) + 1
        whole = item.path.stem == "test_table"
        (kept if whole or number % every == 0 else left).append(item)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)
