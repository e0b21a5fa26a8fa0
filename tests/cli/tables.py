"""Small CSV files, written and read back."""

import csv


def write_csv(path, columns):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def read_csv(text):
    rows = list(csv.reader(text.splitlines()))
    return {
        name: list(column)
        for name, column in zip(rows[0], zip(*rows[1:], strict=True), strict=True)
    }
