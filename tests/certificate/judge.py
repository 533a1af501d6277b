"""Opens every certificate of a folder with qpdf (pikepdf) and PDFium: no error, no warning, one attachment or none, ink on each page."""

import sys
from pathlib import Path

import pikepdf
import pypdfium2

found = sorted(Path(sys.argv[1]).glob("*.pdf"))
wrong = 0 if found else 1
for path in found:
    complaints = []
    with pikepdf.open(path) as pdf:
        complaints += [str(warning) for warning in [*pdf.check_pdf_syntax(), *pdf.get_warnings()]]
        receipts = list(pdf.attachments)
        provisional = any(word in path.stem for word in ("pending", "awaiting", "refused"))
        if receipts != ([] if provisional else ["receipt.json"]):
            complaints.append(f"attachments {receipts}")
        if receipts:
            stored = pdf.Root.AF[0].EF.F
            if stored.read_raw_bytes() != stored.read_bytes() or not stored.read_bytes().startswith(b'{"format":"sceau-receipt/1",'):
                complaints.append("the receipt is not stored as it is")
        if pdf.Root.StructTreeRoot is None or pdf.Root.OutputIntents is None:
            complaints.append("no structure, or no output intent")
        for name in ("JavaScript", "OpenAction", "AA", "AcroForm"):
            if f"/{name}" in pdf.Root:
                complaints.append(f"{name} in the catalog")
    rendered = pypdfium2.PdfDocument(path)
    for number in range(len(rendered)):
        picture = rendered[number].render(scale=1).to_pil().convert("L")
        dark = sum(picture.histogram()[:128])
        if not 1000 < dark < picture.width * picture.height / 3:
            complaints.append(f"page {number + 1} has {dark} dark pixels")
    for complaint in complaints:
        print(f"{path.name}: {complaint}", file=sys.stderr)
    wrong += len(complaints)
print(f"qpdf, PDFium: {len(found)} certificates, {wrong} complaints")
sys.exit(1 if wrong else 0)
