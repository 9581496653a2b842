"""Lines of scene, name and figure, one of each for each turn → medians, and the ratios within the turns with their spread."""
import statistics
import sys

figures = {}
for line in sys.stdin:
    scene, name, figure = line.rstrip("\n").split("\t")
    figures.setdefault(scene, {}).setdefault(name, []).append(float(figure))

names = [name for name in ("floor", "alike", "holdfast", "against") if any(name in found for found in figures.values())]
pairs = [("holdfast", other) for other in ("floor", "alike", "against") if other in names]
print(f"{'CPU µs, unless another unit is named':50}" + "".join(f" {name:>10}" for name in names) + "".join(f"  {a + '/' + b:>24}" for a, b in pairs))
for scene, found in figures.items():
    line = f"{scene:50}"
    for name in names:
        line += f" {statistics.median(found[name]):10.2f}" if name in found else f" {'-':>10}"
    for a, b in pairs:
        ratios = [x / y for x, y in zip(found.get(a, []), found.get(b, [])) if y > 0]
        if ratios:
            spread = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        line += f"  {spread if ratios else '-':>24}"
    print(line)
