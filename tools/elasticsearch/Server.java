import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** One Elasticsearch server with the settings of its arguments (key=value); it ends when its standard input does. */
public class Server {
    private static final long SECONDS_TO_CLOSE = 20;

    public static void main(String[] arguments) {
        new Thread(Server::endWithParent, "end-with-parent").start(); // also keeps this process alive
        try {
            start(Path.of(System.getProperty("es.path.home")), arguments);
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(1); // else the thread above would keep it alive
        }
    }

    private static void start(Path home, String[] arguments) throws Exception {
        Settings.Builder settings = Settings.builder().put("path.home", home);
        for (String argument : arguments) {
            String[] setting = argument.split("=", 2);
            settings.put(setting[0], setting[1]);
        }
        LogConfigurator.registerErrorListener();
        var environment = InternalSettingsPreparer.prepareEnvironment(
            settings.build(), Map.of(), home.resolve("config"), () -> "node");
        LogConfigurator.configure(environment, true);
        var modules = PluginsLoader.loadModulesBundles(environment.modulesDir());
        var plugins = PluginsLoader.loadPluginsBundles(environment.pluginsDir());
        Node node = new Node(environment, PluginsLoader.createPluginsLoader(modules, plugins, Map.of(), false));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node), "close"));
        node.start();
    }

    private static void close(Node node) {
        try {
            node.close();
            node.awaitClose(SECONDS_TO_CLOSE, TimeUnit.SECONDS);
        } catch (Exception error) {
            error.printStackTrace();
        }
    }

    /** Wait until whoever started this server closes the pipe or is gone, however it ended. */
    private static void endWithParent() {
        try {
            System.in.transferTo(java.io.OutputStream.nullOutputStream());
            new Thread(() -> System.exit(0), "exit").start();
            TimeUnit.SECONDS.sleep(SECONDS_TO_CLOSE + 10);
        } catch (Exception gone) {
            // the same as its end
        }
        Runtime.getRuntime().halt(1); // it does not close by itself
    }
}
