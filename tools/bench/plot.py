"""The table as a picture: an SVG with one bar per row, drawn relative to what must be reached.

The dashed line is "must", the mark on each bar's track is "aim". No library: a few rectangles.
"""

from html import escape

WIDTH, LEFT, RIGHT, STEP = 900, 360, 140, 28
COLOURS = {"aim": "#2e7d32", "must": "#f9a825", "missed": "#c62828"}


def picture(rows, results):
    from tools.bench import verdict

    shown = [row for row in rows if row.name in results]
    height = STEP * len(shown) + 60
    unit = (WIDTH - LEFT - RIGHT) / 1.25  # where "must" is; a longer bar is cut
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT + unit}" y="18" text-anchor="middle">must</text>',
        f'<line x1="{LEFT + unit}" x2="{LEFT + unit}" y1="24" y2="{height - 26}" '
        'stroke="black" stroke-dasharray="4 3"/>',
    ]
    for index, row in enumerate(shown):
        value = results[row.name]["value"]
        y = 30 + index * STEP
        length = unit * min(value / row.must if row.must else float(value > 0), 1.25)
        aim = LEFT + unit * min(row.aim / row.must if row.must else 0, 1.25)
        colour = COLOURS[verdict(row, value)]
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(row.what)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{max(length, 1):.1f}" height="18" fill="{colour}"/>',
            f'<rect x="{aim - 1:.1f}" y="{y - 3}" width="2" height="24" fill="#1565c0"/>',
            f'<text x="{WIDTH - RIGHT + 8}" y="{y + 14}">{value:,.10g} {row.unit}</text>',
        ]
    parts.append(f'<text x="{LEFT}" y="{height - 8}" fill="#1565c0">| aim</text></svg>\n')
    return "\n".join(parts)
