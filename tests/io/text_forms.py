"""Small texts in the forms that people have, each with the table that is wanted.

Values are invented; the forms are those of public files and of common programs.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Form:
    """A text, and what is in it.

    `names` are the names of the columns (those without a name are ""), `data` is the number of
    lines before the data, `header` is whether a line of them names the columns, and `rows` is the
    number of rows. `values` are the last values of columns.
    """

    name: str
    text: str | bytes
    delimiter: str
    names: list[str]
    data: int
    header: bool
    rows: int
    values: dict[str, object]
    ending: str = ".csv"


def days(rows, pattern="%Y-%m-%d", hours=24):
    """Return times of successive rows as texts."""
    start = datetime(2021, 3, 1)
    return [(start + timedelta(hours=hours * i)).strftime(pattern) for i in range(rows)]


def numbers(rows, start=20.25, step=0.5, digits=2):
    """Return numbers of successive rows as texts."""
    return [f"{start + step * i:.{digits}f}" for i in range(rows)]


def table(*columns, by=",", end=""):
    """Return lines of columns of texts."""
    return "".join(by.join(row) + end + "\n" for row in zip(*columns, strict=True))


N = 12
DAYS, HOURS = days(N), days(N, "%Y-%m-%d %H:%M:%S", 1)
A, B = numbers(N), numbers(N, 1030, -1.25)
LAST_A, LAST_B = 25.75, 1016.25


def commas(texts):
    """Return numbers with decimal commas."""
    return [text.replace(".", ",") for text in texts]


COUNT = [str(i) for i in range(1, N + 1)]
LABELS = ["normal"] * (N - 2) + ["fault"] * 2
AB = {"a": LAST_A, "b": LAST_B}
ZERO = {"0": LAST_A, "1": LAST_B}
T = {"temp": LAST_A, "press": LAST_B}
TP = ["time", "temp", "press"]
BODY = table(HOURS, A, B)

FORMS = [
    # Separators
    Form("commas", "time,temp,press\n" + BODY, ",", TP, 1, True, N, T),
    Form("tabs in .txt", "a\tb\n" + table(A, B, by="\t"), "\t", ["a", "b"], 1, True, N, AB, ".txt"),
    Form("pipes", "a|b\n" + table(A, B, by="|"), "|", ["a", "b"], 1, True, N, AB),
    Form("runs of blanks", " a   b\n" + table(A, B, by="   "), " ", ["a", "b"], 1, True, N, AB),
    Form(
        "date and time between blanks",
        table(HOURS, A, B, by=" "),
        " ",
        ["0", "1", "2", "3"],
        0,
        False,
        N,
        {"2": LAST_A},
    ),
    Form(
        "semicolons, decimal commas",
        "time;temp;press\n" + table(HOURS, commas(A), commas(B), by=";"),
        ";",
        TP,
        1,
        True,
        N,
        T,
    ),
    Form(
        "tabs, decimal commas",
        "time\ttemp\tpress\n" + table(HOURS, commas(A), commas(B), by="\t"),
        "\t",
        TP,
        1,
        True,
        N,
        T,
    ),
    Form(
        "no header, semicolons, decimal commas",
        table(commas(A), commas(B), COUNT, by=";"),
        ";",
        ["0", "1", "2"],
        0,
        False,
        N,
        ZERO,
    ),
    Form("one column", "load\n" + table(A), ",", ["load"], 1, True, N, {"load": LAST_A}),
    Form(
        "one column of decimal commas",
        "load\n" + table(commas(A)),
        ",",
        ["load"],
        1,
        True,
        N,
        {"load": LAST_A},
    ),
    Form("sep= of Excel", "sep=;\na;b\n" + table(A, B, by=";"), ";", ["a", "b"], 2, True, N, AB),
    Form(
        "quoted sep= of Excel",
        '"sep=|"\na|b\n' + table(A, B, by="|"),
        "|",
        ["a", "b"],
        2,
        True,
        N,
        AB,
    ),
    Form(
        "quotes around everything",
        '"a","b"\n' + table([f'"{a}"' for a in A], [f'"{b}"' for b in B]),
        ",",
        ["a", "b"],
        1,
        True,
        N,
        AB,
    ),
    Form(
        "separators and line breaks in quotes",
        "a,note,b\n" + table(A, ['"x, y;\nz"'] * N, B),
        ",",
        ["a", "note", "b"],
        1,
        True,
        N,
        AB,
    ),
    Form(
        "text with commas between semicolons",
        "a;note;b\n" + table(A, ["one, two, three"] * N, B, by=";"),
        ";",
        ["a", "note", "b"],
        1,
        True,
        N,
        AB,
    ),
    # Headers
    Form(
        "no header, truth values",
        table(A, B, ["False"] * N),
        ",",
        ["0", "1", "2"],
        0,
        False,
        N,
        ZERO,
    ),
    Form("no header, text labels", table(A, B, LABELS), ",", ["0", "1", "2"], 0, False, N, ZERO),
    Form(
        "no header, text ids in front",
        table([f"m-{i:03d}" for i in range(N)], A, B),
        ",",
        ["0", "1", "2"],
        0,
        False,
        N,
        {"1": LAST_A},
    ),
    Form(
        "no header, a missing value in the first row",
        table(["?", *A[1:]], B, LABELS),
        ",",
        ["0", "1", "2"],
        0,
        False,
        N,
        {"1": LAST_B},
    ),
    *(
        Form(
            f"no header, dates like {pattern}",
            table(days(N, pattern), A),
            ",",
            ["0", "1"],
            0,
            False,
            N,
            {"1": LAST_A},
        )
        for pattern in ("%d-%b-%Y", "%b %d %Y %I:%M:%S %p", "%Y%m%dT%H%M%SZ", "%d.%m.%y", "%Y-%j")
    ),
    Form(
        "no header, end of row of WISDM",
        table(["33"] * N, ["Jogging"] * N, COUNT, A, B, end=";"),
        ",",
        ["0", "1", "2", "3", "4"],
        0,
        False,
        N,
        {"3": LAST_A, "4": LAST_B},
        ".txt",
    ),
    Form(
        "running numbers as names",
        ",0,1\n" + table(COUNT, A, B),
        ",",
        ["", "0", "1"],
        1,
        True,
        N,
        ZERO,
    ),
    Form(
        "years as names",
        "name,2019,2020,2021\n" + table([f"x{i}" for i in range(N)], A, B, A),
        ",",
        ["name", "2019", "2020", "2021"],
        1,
        True,
        N,
        {"2019": LAST_A, "2020": LAST_B},
    ),
    Form(
        "years alone as names",
        "2019,2020,2021\n" + table(A, B, A),
        ",",
        ["2019", "2020", "2021"],
        1,
        True,
        N,
        {"2019": LAST_A, "2020": LAST_B},
    ),
    Form(
        "dates as names",
        "name,2021-01-01,2021-01-02\n" + table([f"x{i}" for i in range(N)], A, B),
        ",",
        ["name", "2021-01-01", "2021-01-02"],
        1,
        True,
        N,
        {"2021-01-01": LAST_A},
    ),
    Form(
        "a name too few",
        '"a","b"\n' + table([f'"{i}"' for i in COUNT], A, B),
        ",",
        ["", "a", "b"],
        1,
        True,
        N,
        AB,
    ),
    Form("a name twice", "x,x\n" + table(A, B), ",", ["x", "x.1"], 1, True, N, {"x.1": LAST_B}),
    Form(
        "separator at the end of the header",
        "a,b,\n" + table(A, B),
        ",",
        ["a", "b"],
        1,
        True,
        N,
        AB,
    ),
    Form(
        "separator at the end of rows",
        "a,b\n" + table(A, B, end=","),
        ",",
        ["a", "b"],
        1,
        True,
        N,
        AB,
    ),
    Form(
        "separators at the ends, and rows of separators alone",
        "a;b;;\n" + table(commas(A), commas(B), by=";", end=";;") + ";;;\n" * 3,
        ";",
        ["a", "b"],
        1,
        True,
        N,
        AB,
    ),
    Form(
        "header with blanks around names",
        " time , temp , press \n" + BODY,
        ",",
        TP,
        1,
        True,
        N,
        T,
    ),
    # Lines above the header
    Form("title", "Weather of Berlin\ntime,temp,press\n" + BODY, ",", TP, 2, True, N, T),
    Form(
        "title and blank line",
        "Weather, Berlin\n\ntime,temp,press\n" + BODY,
        ",",
        TP,
        3,
        True,
        N,
        T,
    ),
    Form(
        "title with separators up to the last column",
        "Weather;;\nStation;Berlin;\ntime;temp;press\n"
        + table(HOURS, commas(A), commas(B), by=";"),
        ";",
        TP,
        3,
        True,
        N,
        T,
    ),
    Form(
        "names and values above (Open-Meteo)",
        "latitude,longitude,elevation,timezone\n52.52,13.41,38.0,GMT\n\ntime,temp,press\n" + BODY,
        ",",
        TP,
        4,
        True,
        N,
        T,
    ),
    Form(
        "names and values above a table of two columns",
        "Station,Berlin\nInterval,60 min\n\ntime,temp\n" + table(HOURS, A),
        ",",
        ["time", "temp"],
        4,
        True,
        N,
        {"temp": LAST_A},
    ),
    *(
        Form(
            f"comments after {sign}",
            f"{sign} station: A\n{sign} units: C, hPa\ntime,temp,press\n" + BODY,
            ",",
            TP,
            3,
            True,
            N,
            T,
        )
        for sign in ("#", "%", "//", ";", "!")
    ),
    Form(
        "header of numpy.savetxt",
        "# a b\n" + table(A, B, by=" "),
        " ",
        ["a", "b"],
        1,
        True,
        N,
        AB,
        ".txt",
    ),
    Form(
        "comments, the last of them the header",
        "# made by a logger\n#time,temp,press\n" + BODY,
        ",",
        TP,
        2,
        True,
        N,
        T,
    ),
    Form(
        "annotations of InfluxDB",
        "#group,false,false,false\n#datatype,string,long,double\n#default,mean,,\n"
        ",result,time,temp\n" + table([""] * N, ["0"] * N, COUNT, A),
        ",",
        ["", "result", "time", "temp"],
        4,
        True,
        N,
        {"temp": LAST_A},
    ),
    Form("blank lines", "\n\ntime,temp,press\n\n" + BODY, ",", TP, 3, True, N, T),
    # Several lines of header
    Form("unit row", "time,temp,press\n,degC,hPa\n" + BODY, ",", TP, 2, True, N, T),
    Form(
        "unit row in brackets",
        "time;temp;press\n[s];[°C];[hPa]\n" + table(COUNT, commas(A), commas(B), by=";"),
        ";",
        TP,
        2,
        True,
        N,
        T,
    ),
    Form(
        "unit row between tabs",
        "time\ttemp\tpress\n-\tC\tmbar\n" + table(HOURS, A, B, by="\t"),
        "\t",
        TP,
        2,
        True,
        N,
        T,
        ".txt",
    ),
    Form(
        "yfinance",
        "Price,Close,High\nTicker,ABC,ABC\nDate,,\n" + table(DAYS, A, B),
        ",",
        ["Date", "Close", "High"],
        3,
        True,
        N,
        {"Close": LAST_A, "High": LAST_B},
    ),
    Form(
        "yfinance, several tickers",
        "Price,Close,Close,High,High\nTicker,ABC,XYZ,ABC,XYZ\nDate,,,,\n" + table(DAYS, A, B, A, B),
        ",",
        ["Date", "Close ABC", "Close XYZ", "High ABC", "High XYZ"],
        3,
        True,
        N,
        {"Close ABC": LAST_A, "High XYZ": LAST_B},
    ),
    Form(
        "levels of pandas",
        ",a,a,b\n,x,y,x\n" + table(COUNT, A, B, A),
        ",",
        ["", "a x", "a y", "b x"],
        2,
        True,
        N,
        {"a x": LAST_A, "a y": LAST_B},
    ),
    Form(
        "merged cells of Excel",
        ";Temperature;;Pressure;\nTime;min;max;min;max\n"
        + table(HOURS, commas(A), commas(A), commas(B), commas(B), by=";"),
        ";",
        ["Time", "Temperature min", "Temperature max", "Pressure min", "Pressure max"],
        2,
        True,
        N,
        {"Temperature min": LAST_A, "Pressure max": LAST_B},
    ),
    # Numbers
    Form(
        "decimal commas after many rows",
        "step;temp\n" + "".join(f"{i};20\n" for i in range(2000)) + "2000;20,5\n",
        ";",
        ["step", "temp"],
        1,
        True,
        2001,
        {"temp": 20.5},
    ),
    Form(
        "thousands between quotes",
        'step,load\n1,"1,234.5"\n2,"12,345.0"\n3,980.5\n',
        ",",
        ["step", "load"],
        1,
        True,
        3,
        {"load": 980.5},
    ),
    Form(
        "whole thousands between quotes",
        'date,load,b\n2021-01-01,"1,234",1\n2021-01-02,"1,012,345",2\n2021-01-03,"2,000",3\n',
        ",",
        ["date", "load", "b"],
        1,
        True,
        3,
        {"load": 2000},
    ),
    Form(
        "points between thousands",
        "step;load\n1;1.234,5\n2;12.345,0\n3;980,25\n",
        ";",
        ["step", "load"],
        1,
        True,
        3,
        {"load": 980.25},
    ),
    Form(
        "blanks between thousands",
        "step;load\n1;1 234,5\n2;12 345,0\n3;1\xa0980,25\n",
        ";",
        ["step", "load"],
        1,
        True,
        3,
        {"load": 1980.25},
    ),
    Form(
        "apostrophes between thousands",
        "step;load\n1;1'234.5\n2;12'345.0\n3;1'980.25\n",
        ";",
        ["step", "load"],
        1,
        True,
        3,
        {"load": 1980.25},
    ),
    Form(
        "whole thousands next to decimal commas",
        "step;load;temp\n1;1.234;0,5\n2;12.345;1,5\n3;2.000;2,25\n",
        ";",
        ["step", "load", "temp"],
        1,
        True,
        3,
        {"load": 2000, "temp": 2.25},
    ),
    # Encodings
    Form(
        "byte order mark, line ends of Windows",
        "\ufefftime,temp,press\r\n".encode() + BODY.replace("\n", "\r\n").encode(),
        ",",
        TP,
        1,
        True,
        N,
        T,
    ),
    Form(
        "line ends of old Macs",
        ("time,temp,press\n" + BODY).replace("\n", "\r"),
        ",",
        TP,
        1,
        True,
        N,
        T,
    ),
    Form(
        "UTF-16 with a byte order mark",
        ("time\ttemp\tpress\n" + table(HOURS, A, B, by="\t")).encode("utf-16"),
        "\t",
        TP,
        1,
        True,
        N,
        T,
    ),
    Form(
        "UTF-16, most significant byte first",
        ("time,temp,press\n" + BODY).encode("utf-16-be"),
        ",",
        TP,
        1,
        True,
        N,
        T,
    ),
    Form(
        "Windows-1252",
        ("time,T (°C),µ\n" + BODY).encode("cp1252"),
        ",",
        ["time", "T (°C)", "µ"],
        1,
        True,
        N,
        {"T (°C)": LAST_A},
    ),
    Form(
        "Windows-1252 far below the first lines",
        b"a,b\n" + b"1,x\n" * 3000 + b"2.5,\xb0\n",
        ",",
        ["a", "b"],
        1,
        True,
        3001,
        {"a": 2.5, "b": "°"},
    ),
]
