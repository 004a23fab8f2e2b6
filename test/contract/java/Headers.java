import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.apache.rocketmq.common.BoundaryType;
import org.apache.rocketmq.common.MQVersion;
import org.apache.rocketmq.remoting.CommandCustomHeader;
import org.apache.rocketmq.remoting.annotation.CFNotNull;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.SerializeType;

/**
 * Writes, for each header class that the arguments name, what Apache has in it and the frames that Apache makes of it: one
 * JSON line a class. Run by test/contract/record-headers.ts.
 */
public class Headers {
    private static final String HEADERS = "org.apache.rocketmq.remoting.protocol.header.";

    public static void main(String[] names) throws Exception {
        System.setProperty(RemotingCommand.REMOTING_VERSION_KEY, Integer.toString(MQVersion.CURRENT_VERSION));
        for (String name : names) {
            Class<?> type = Class.forName(HEADERS + name);
            List<Field> fields = fieldsOf(type);
            StringBuilder line = new StringBuilder("{\"header\":\"" + name + "\",\"fields\":[");
            CommandCustomHeader fresh = (CommandCustomHeader) type.getDeclaredConstructor().newInstance();
            for (int at = 0; at < fields.size(); at++) {
                Field field = fields.get(at);
                Object value = field.get(fresh);
                line.append(at == 0 ? "" : ",").append("{\"name\":\"").append(field.getName());
                line.append("\",\"type\":\"").append(field.getType().getSimpleName()).append('"');
                if (field.isAnnotationPresent(CFNotNull.class)) line.append(",\"required\":true");
                if (value != null) line.append(",\"value\":\"").append(value).append('"');
                line.append('}');
            }
            line.append(']');
            for (SerializeType serialisation : SerializeType.values()) {
                String key = serialisation.name().toLowerCase();
                line.append(",\"" + key + "\":\"").append(frame(type, fields, serialisation, true)).append('"');
                line.append(",\"" + key + "Least\":\"").append(frame(type, fields, serialisation, false)).append('"');
            }
            System.out.println(line.append('}'));
        }
        System.exit(0);
    }

    /** What goes over the wire: all fields of the class and those above it. */
    private static List<Field> fieldsOf(Class<?> type) {
        List<Field> fields = new ArrayList<>();
        for (Class<?> at = type; at != Object.class; at = at.getSuperclass()) {
            for (Field field : at.getDeclaredFields()) {
                if (Modifier.isStatic(field.getModifiers()) || field.getName().startsWith("this")) continue;
                field.setAccessible(true);
                fields.add(field);
            }
        }
        fields.sort(Comparator.comparing(Field::getName));
        return fields;
    }

    /** @param isWhole every field has a value that is not its default; else the required ones alone */
    private static String frame(Class<?> type, List<Field> fields, SerializeType serialisation, boolean isWhole)
        throws Exception {
        CommandCustomHeader header = (CommandCustomHeader) type.getDeclaredConstructor().newInstance();
        for (int at = 0; at < fields.size(); at++) {
            Field field = fields.get(at);
            if (isWhole || field.isAnnotationPresent(CFNotNull.class)) field.set(header, valueOf(field, header, at));
        }
        RemotingCommand command = RemotingCommand.createRequestCommand(777, header);
        command.setOpaque(7);
        command.setSerializeTypeCurrentRPC(serialisation);
        ByteBuffer frame = command.encode();
        StringBuilder hex = new StringBuilder();
        while (frame.hasRemaining()) hex.append(String.format("%02x", frame.get()));
        return hex.toString();
    }

    private static Object valueOf(Field field, CommandCustomHeader header, int at) throws Exception {
        Class<?> type = field.getType();
        if (type == String.class) return field.getName() + " ü \"" + at + "\" \\ \n";
        if (type == Integer.class || type == int.class) return Integer.MIN_VALUE + at;
        if (type == Long.class || type == long.class) return (1L << 53) - 1 - at;
        if (type == Boolean.class || type == boolean.class) return !Boolean.TRUE.equals(field.get(header));
        if (type == BoundaryType.class) return BoundaryType.UPPER;
        throw new IllegalStateException("a field of an unknown type: " + field);
    }
}
