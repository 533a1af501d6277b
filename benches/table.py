"""The table of the benches: rows as benches/kit/report.rs and the others print them with --json."""

def number(value):
    """At least three digits, thousands apart."""
    if value is None:
        return "–"
    for bound, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= bound:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def aim(row):
    """What the ratio should be, and whether it is; empty where nothing is aimed at."""
    wanted = row.get("aim") or {}
    for name, sign in (("at_least", "≥"), ("at_most", "≤")):
        if name in wanted:
            return f"{sign} {wanted[name]:g} {'reached' if row.get('reached') else 'MISSED'}"
    return ""


def columns(lines, right):
    """Lines of cells, each column as wide as its widest cell; the columns named by `right` are flush right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        cells = [cell.rjust(width) if place in right else cell.ljust(width) for place, (cell, width) in enumerate(zip(line, widths))]
        print("  " + "  ".join(cells).rstrip())


def show(rows):
    """Prints rows: what was measured, against what, their ratio, and the aim."""
    head = ("case", "value", "", "against", "limit", "ratio", "aim")
    lines = [(row["case"], number(row.get("value")), row.get("unit", ""), row.get("against", ""), number(row.get("limit")),
              number(row["ratio"]), aim(row)) for row in rows]
    columns([head, *lines], right=(1, 4, 5))


def row(case, value, against, limit, unit, at_least=None, at_most=None):
    """One row; the ratio is value ÷ limit."""
    ratio = value / limit
    if at_least is not None:
        wanted, reached = {"at_least": at_least}, ratio >= at_least
    elif at_most is not None:
        wanted, reached = {"at_most": at_most}, ratio <= at_most
    else:
        wanted, reached = None, None
    return {"case": case, "value": value, "unit": unit, "against": against, "limit": limit, "ratio": ratio, "aim": wanted,
            "reached": reached}
