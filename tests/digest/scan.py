"""Cases of `kernels.scan`."""


def scans(run, shape, dim):
    x, dy = run.normal(*shape), run.normal(*shape)
    for name in ("cumsum", "cumprod", "logcumsumexp"):
        run.call(name, x, dim)
        run.call(f"{name}_backward", dy, *(() if name == "cumsum" else (x,)), dim)
    for name in ("cummax", "cummin"):
        _, indices = run.call(name, x, dim)
        run.call(f"{name}_backward", dy, indices, dim)
    for name in ("cumsum", "cumprod", "cummax", "cummin"):
        run.call(name, run.indices(9, *shape), dim)


def ladder(run, rows, columns):
    for name in ("cumsum", "cumprod", "logcumsumexp"):
        run.rungs("scan", name, run.normal(rows, columns), run.zeros(rows, columns))
    for name in ("cummax", "cummin"):
        run.rungs("scan", name, run.normal(rows, columns), run.zeros(rows, columns), run.indices(1, rows, columns))


SHAPES = (((), 0), ((7,), 0), ((5, 33), 1), ((33, 5), 0), ((4, 9, 20), 1), ((3, 20_000), 1), ((300, 400), 0))
CASES = [*((scans, *each) for each in SHAPES), (ladder, 3, 7), (ladder, 5, 90)]
