// Starts `wnodes-policy lsp`, and leaves everything else to it.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = function activate() {
  const settings = workspace.getConfiguration("wnodesPolicy");
  const site = settings.get("site");
  client = new LanguageClient(
    "wnodes-policy",
    "WNoDeS policies",
    { command: settings.get("command"), args: ["lsp"] },
    {
      documentSelector: [{ language: "wnodes-policy" }],
      initializationOptions: site ? { site } : {},
    },
  );
  return client.start();
};

exports.deactivate = function deactivate() {
  return client ? client.stop() : undefined;
};
