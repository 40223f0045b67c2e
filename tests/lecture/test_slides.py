import json
import re
from pathlib import Path

import pytest

from convnets.lecture import ledger, slides, unchecked

ROOT = Path(__file__).parents[2]
# Every figure on a slide, as printed there. Slides that are not listed have none.
FIGURES = {
    5: "227x227x3 CONV1 96 11x11x3 4 (227-11)/4+1 55 55x55x96 11x11x3x96 35K",
    6: "227x227x3 CONV1 55x55x96 POOL1 3x3 2 (55-3)/2+1 27 27x27x96 + 1",
    7: "227x227x3 CONV1 55x55x96 POOL1 27x27x96 CONV2 256 5x5x48 4 (227-11)/4+1 55 11x11x3x96 35K "
    "7 2 CONV3 CONV4 CONV5 FC6 FC7 FC8",
    8: "227x227x3 55x55x96 CONV1 96 11x11x3 4 0 27x27x96 POOL1 3x3 2 27x27x256 CONV2 256 5x5x48 1 "
    "13x13x256 POOL2 13x13x384 CONV3 384 3x3x256 CONV4 3x3x192 CONV5 6x6x256 POOL3 4096 FC6 FC7 "
    "1000 FC8 0.5 128 0.9 1e-2 10 L2 5e-4",
    10: "[0, inf)",
    14: "CONV1 11x11 4 7x7 2 CONV3 384 256 512 1024",
    16: "2014",
    17: "8 16-19 11x11 7x7 3x3 1 2x2 2",
    18: "3x3 1 7x7 3 3² 27 7² 49",
    19: "ILSVRC'14 2nd 1st VGG16 VGG19 FC7",
    20: "224x224x3 224*224*3 150K 0 CONV1-1 224x224x64 3.2M (3*3*3)*64 1,728 CONV1-2 (3*3*64)*64 "
    "36,864 POOL1 112x112x64 800K CONV2-1 112x112x128 1.6M (3*3*64)*128 73,728 CONV2-2 "
    "(3*3*128)*128 147,456 POOL2 56x56x128 400K CONV3-1 56x56x256 (3*3*128)*256 294,912 CONV3-2 "
    "(3*3*256)*256 589,824 28x28x256 200K CONV4-1 28x28x512 (3*3*256)*512 1,179,648 CONV4-2 "
    "(3*3*512)*512 2,359,296 CONV4-3 POOL3 14x14x512 100K CONV5-1 CONV5-2 CONV5-3 POOL4 7x7x512 "
    "25K FC6 1x1x4096 4096 7*7*512*4096 102,760,448 FC7 4096*4096 16,777,216 FC8 1x1x1000 1000 "
    "4096*1000 4,096,000 24M 4 96MB 138M",
    26: "1x1 3x3 5x5 26",
    27: "5x5",
    28: "1x1 128 128x1x1x256 3x3 192 192x3x3x256 5x5 96 96x5x5x256 108k 28x28x256 28x28x128 "
    "28x28x192 28x28x96 28x28x672",
    29: "1x1",
    30: "1x1 64x32 2048",
    31: "1x1 64 64x1x1x256 128 128x1x1x256 3x3 192 192x3x3x64 5x5 96 96x5x5x64 33k 108k 28x28x256 "
    "28x28x128 28x28x192 28x28x96 28x28x64 28x28x480 256",
    33: "2xConv",
    34: "1x1xc 34",
    35: "22 12x 27x VGG-16 ILSVRC'14 6.7% 5 35",
    36: "36",
    38: "38",
    40: "40",
    42: "34 42",
    43: "3x3 256 1x1 64 28x28x256 28x28x64 2x(256x3x3x256) 1,179,648 "
    "256x1x1x64+64x3x3x64+64x1x1x256 69,632 ResNet-50 -101 -152",
    44: "44",
    45: "0.9 0.1 10 256 1e-5",
    46: "Inception-v4 46",
    48: "2017",
    49: "49",
    50: "50",
    54: "50-layer 152-layer 54",
    55: "55",
    57: "L(L + 1)/2 57",
    58: "50 152 58",
    59: "59",
    61: "61",
    62: "1x1 62",
    66: "1x1",
    67: "1409.1556",
    68: "2 18:00 13th",
    69: "69",
}


def headings(page: str) -> set[str]:
    """Identifiers of the headings of a page, as the site generates them."""
    notebook = ROOT / f"{page}.ipynb"
    if notebook.is_file():
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    else:
        text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") for title in titles}


def test_the_lecture_has_69_slides_in_order():
    assert [slide.slide for slide in slides()] == list(range(1, 70))
    assert [slides()[number - 1].title for number in (8, 20, 46, 69)] == [
        "AlexNet: architecture",
        "VGG: memory and parameters",
        "ILSVRC Model Comparison",
        "Thank you!",
    ]


@pytest.mark.parametrize("slide", slides(), ids=lambda slide: str(slide.slide))
def test_a_slide_is_covered_by_a_section(slide):
    assert slide.title
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slide.section)
    assert slide.section in headings(slide.chapter)


@pytest.mark.parametrize("slide", FIGURES)
def test_every_figure_of_a_slide_has_a_row_or_a_reason(slide):
    said = [f"{row.statement} {row.claimed}" for row in ledger() if row.slide == slide]
    said += [row.statement for row in unchecked() if row.slide == slide]
    text = " ".join(said)
    text += " " + text.replace("x", "*")
    for figure in FIGURES[slide].split():
        assert re.search(rf"(?<!\w){re.escape(figure)}(?!\w)", text), figure


def test_every_unchecked_statement_has_a_reason():
    assert len(unchecked()) > 20
    assert all(row.reason.endswith(".") and 1 <= row.slide <= 69 for row in unchecked())
