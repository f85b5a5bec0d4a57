use super::*;

#[test]
fn print_syntax() {
    for text in [
        "a = \"x\\q\"", "a = \"\u{1}\"", "a = [1, 2", "a = [1 2]", "a = { b = 1", "a = { b = 1 c = 2 }", "a = { b = 1,, c = 2 }",
        "a = 1 b = 2", "a = 012", "a = 0x", "a = yes", "a = True", "a = 5s", "a = 10.0.0.1", "a = web1 # c", "[a", "[[a]", "[a]]", "[a b]", "[]", "= 1", "a == 1", "a =", "a = # c", "a.b. = 1",
        "a = 'x", "a = \"\"\"x\n y", "a = 'x' 'y'", "a = \"x\"y\"", "a = 1\n[a]\nb=1", "a = [1]\n[[a]]", "a = {}\na.b = 1", "[a]\n[a.b]\n[a]", "a: \"b\"", "- a", "{ \"a\": 1 }", "key with space = 1", "a = 1;", "// comment", "; comment", "ключ = 1", "a = «x»", "a = “x”", "a=1_", "a = 2024-13-01", "a = nan", "include \"x\"", "a = \"x", "a = [\n\"x\",\n\"y\nb = 1\n]", "\u{0}", "\r", "a = \"\r\"", "a\u{a0}= 1",
    ] {
        let (_, wrong) = Document::parse("f.toml", text);
        println!("=== {text:?}");
        for w in &wrong { println!("{} | {} | {:?} | {:?} | {:?}", w.place, w.title, w.place.text(), w.label, w.help); }
    }
}
