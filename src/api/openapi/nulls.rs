//! What schemas say of `null` and of defaults, and the document should not: members that are left out are never null here.

use serde_json::Value;

/// Takes `null` from the members that need not be there.
pub(super) fn never_null(schema: &mut Value) {
    let required: Vec<String> =
        schema["required"].as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !required.contains(name)) {
        drop_null(property);
        if let Some(property) = property.as_object_mut() {
            property.remove("default");
        }
    }
}

/// A default that only stands for "not there" says nothing.
pub(super) fn only_telling_defaults(schema: &mut Value) {
    for (_, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if let Some(property) =
            property.as_object_mut().filter(|property| !property.get("default").is_some_and(Value::is_boolean))
        {
            property.remove("default");
        }
    }
}

pub(super) fn drop_null(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|word| word != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(mut parts)) = object.remove("anyOf") {
        parts.retain(|part| part["type"] != "null");
        match (parts.len(), parts.pop()) {
            (1, Some(Value::Object(only))) => object.extend(only),
            (_, last) => {
                parts.extend(last);
                object.insert("anyOf".into(), parts.into());
            }
        }
    }
}
