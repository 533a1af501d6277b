"""Opens every certificate of a folder with qpdf (pikepdf) and PDFium: no error, no warning, one attachment or none, ink on each page.
Holds it against PDF/A-3b by pikepdf's list of what is allowed, which has the numbers of veraPDF's rules."""

import re
import sys
from pathlib import Path

import pikepdf
import pikepdf.pdfa
import pypdfium2

# What that list does not know although ISO 19005-3 allows it, or does not look into. Everything else it says counts.
UNKNOWN = [
    ("ISO_19005_3:6.6.4-3", r"pdfaid:conformance is 'A', expected 'B'"),  # level A holds more than B; the list knows B
    # The schema of pages is one of the XMP specification of 2005, that of PDF/UA is declared as an extension schema.
    ("ISO_19005_3:6.6.2.3.1-1", r"XMP namespace (xmpTPg|pdfaExtension|pdfaSchema|pdfaProperty)=\S+ is not permitted"),
    ("ISO_19005_3:6.6.2.3.1-1", r"XMP property (xmpTPg:NPages|pdfaExtension:schemas|pdfuaid:part) is not permitted"),
    ("ISO_19005_3:6.6.2.3.1-2", r"the content of structured XMP property xmpMM:History is not checked"),
    ("pikepdf:schema-OutlineItem", r"'\d+ 0 R' is not valid under any of the given schemas"),  # a destination by reference
    ("pikepdf:font-program", r"CIDFontType0: CFF FDArray FontMatrix is not supported"),
    ("ISO_19005_3:6.2.11.4.2-2", r"/CIDSet on a CIDFontType2 subset is not checked"),
]


def odd(finding):
    return not any(finding.rule == rule and re.fullmatch(text, finding.message) for rule, text in UNKNOWN)


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
        if "/StructTreeRoot" not in pdf.Root or "/OutputIntents" not in pdf.Root:
            complaints.append("no structure, or no output intent")
        for name in ("JavaScript", "OpenAction", "AA", "AcroForm"):
            if f"/{name}" in pdf.Root:
                complaints.append(f"{name} in the catalog")
    complaints += [str(finding) for finding in pikepdf.pdfa.validate_written(path, "3b").findings if odd(finding)]
    rendered = pypdfium2.PdfDocument(path)
    for number in range(len(rendered)):
        picture = rendered[number].render(scale=1).to_pil().convert("L")
        dark = sum(picture.histogram()[:128])
        if not 1000 < dark < picture.width * picture.height / 3:
            complaints.append(f"page {number + 1} has {dark} dark pixels")
    for complaint in complaints:
        print(f"{path.name}: {complaint}", file=sys.stderr)
    wrong += len(complaints)
print(f"qpdf, PDFium, PDF/A-3b by pikepdf: {len(found)} certificates, {wrong} complaints")
sys.exit(1 if wrong else 0)
